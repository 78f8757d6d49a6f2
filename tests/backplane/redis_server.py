"""A real Redis for the tests, and a proxy that delays, holds or swallows replies, or cuts the connections."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
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
        """The raw reply to a command; empty if the server does not answer."""
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


async def command(redis: RedisServer, *parts: bytes) -> None:
    """Send a command of any bytes to Redis, past the nodes, and wait for the reply."""
    reader, writer = await asyncio.open_unix_connection(redis.socket)
    writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
    assert not (await reader.readline()).startswith(b"-")
    writer.close()
    await writer.wait_closed()


class Proxy:
    """Stands between a node and Redis.

    `server` is where new connections lead. `delay` holds each reply back for so many seconds; `deaf` swallows what
    subscribers would receive, and `swallowed` counts it.
    """

    def __init__(self, server: RedisServer):
        self.server = server
        self.deaf = False
        self.delay = 0.0
        self.swallowed = 0
        self.holding = asyncio.Event()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._held_command: bytes | None = None
        self._released = asyncio.Event()

    async def start(self) -> "Proxy":
        self._folder = tempfile.TemporaryDirectory(prefix="webchat-proxy-")
        path = str(Path(self._folder.name, "proxy.sock"))
        self._listener = await asyncio.start_unix_server(self._serve, path)
        self.url = f"unix://{path}"
        return self

    def blackhole(self) -> None:
        """Take everything and pass nothing on, until `mend`."""
        self._passes.clear()

    def cut(self) -> None:
        """Cut all connections and refuse new ones, until `mend`."""
        self._refuses = True
        self._abort()

    def mend(self) -> None:
        """Work again. What was swallowed stays lost."""
        self.delay, self._refuses, self.deaf = 0.0, False, False
        if not self._passes.is_set():
            self._abort()
            self._passes.set()

    def hold(self, command: str) -> None:
        """Hold the reply to a command, until `release`; `holding` is set when Redis has sent it."""
        self._held_command = command.encode()
        self.holding.clear()
        self._released.clear()

    def release(self) -> None:
        """Pass the held reply on."""
        self._held_command = None
        self._released.set()

    async def stop(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        self._tasks.add(task)
        writers = {writer}
        with contextlib.suppress(OSError, asyncio.CancelledError):
            from_redis, to_redis = await asyncio.open_unix_connection(self.server.socket)
            writers.add(to_redis)
            self._writers |= writers
            holds = asyncio.Event()
            await asyncio.gather(self._pass_commands(reader, to_redis, holds),
                                 self._pass_replies(from_redis, writer, holds))
        self._writers -= writers
        for each in writers:
            each.transport.abort()
        self._tasks.discard(task)

    async def _pass_commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                             holds: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._passes.wait()
            if self._held_command and self._held_command in data:
                holds.set()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _pass_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                            holds: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._passes.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if holds.is_set():
                self.holding.set()
                await self._released.wait()
                holds.clear()
            if self.deaf and b"smessage" in data:
                self.swallowed += 1
                continue
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxied(server: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy before a server."""
    proxy = await Proxy(server).start()
    try:
        yield proxy
    finally:
        await proxy.stop()
