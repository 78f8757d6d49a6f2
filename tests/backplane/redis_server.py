"""A real Redis for the tests, and a proxy before it that makes it slow, swallows everything, or cuts the line."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

BINARY = shutil.which("redis-server")

needs_redis = pytest.mark.skipif(BINARY is None, reason="redis-server is not installed")


class RedisServer:
    """redis-server on a Unix socket in a folder of its own, keeping nothing on disk."""

    def __init__(self, *settings: str):
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="webchat-redis-")
        self.socket = str(Path(self._folder.name, "redis.sock"))
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen | None = None

    def start(self) -> "RedisServer":
        self.process = subprocess.Popen(
            [BINARY, "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--rdbcompression", "no", "--dir", self._folder.name, *self._settings], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while self.call("PING") != b"+PONG\r\n":
            assert self.process.poll() is None and time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)
        return self

    def call(self, *command: str) -> bytes:
        """The raw reply to a command; empty where nobody answers."""
        packed = f"*{len(command)}\r\n" + "".join(f"${len(part.encode())}\r\n{part}\r\n" for part in command)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(self.socket)
            connection.sendall(packed.encode())
            return connection.recv(65536)
        return b""

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.resume()
            self.kill()
        self._folder.cleanup()


class Proxy:
    """Stands between a node and Redis.

    `delay` holds each reply back for so many seconds; `deaf` swallows what subscribers would hear.
    """

    def __init__(self, server: RedisServer):
        self._server = server
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.refuses = self.deaf = False
        self.delay = 0.0

    async def start(self) -> "Proxy":
        self._folder = tempfile.TemporaryDirectory(prefix="webchat-proxy-")
        path = str(Path(self._folder.name, "proxy.sock"))
        self._listener = await asyncio.start_unix_server(self._serve, path)
        self.url = f"unix://{path}"
        return self

    def blackhole(self) -> None:
        """Take everything, pass on nothing, say nothing."""
        self._open.clear()

    def cut(self) -> None:
        """Cut the lines, and refuse new ones."""
        self.refuses = True
        for line in list(self._lines):
            line.transport.abort()

    def mend(self) -> None:
        """All is well again. What was swallowed stays so."""
        self.delay, self.refuses, self.deaf = 0.0, False, False
        if not self._open.is_set():
            for line in list(self._lines):
                line.transport.abort()
            self._open.set()

    async def stop(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        self._tasks.add(task)
        lines = {writer}
        with contextlib.suppress(OSError, asyncio.CancelledError):
            back, there = await asyncio.open_unix_connection(self._server.socket)
            lines.add(there)
            self._lines |= lines
            await asyncio.gather(self._pass(reader, there), self._pass_back(back, writer))
        self._lines -= lines
        for line in lines:
            line.transport.abort()
        self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if not (self.deaf and b"smessage" in data):
                writer.write(data)
                await writer.drain()
        writer.close()
