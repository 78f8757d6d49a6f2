"""`python -m webchat.main` as an operator starts it, on free ports, and a small client for its lines."""

import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent

PATIENCE = 10
"""Seconds to wait for something that should happen at once, before a test gives up."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, and that the kernel does not use for outgoing connections."""
    held = {}
    while len(held) < count:
        port = random.randrange(10_000, 32_000)
        with suppress(OSError):
            held[port] = socket.create_server(("127.0.0.1", port))
    for sock in held.values():
        sock.close()
    return list(held)


class Program:
    """A running server; `with Program() as server:` stops it. Doors that are not named in `flags` get free ports.

    `tls` is for the clients of a server with a certificate.
    """

    def __init__(self, *flags: str, cwd: Path | None = None, doors: int | None = None, module: str = "webchat.main",
                 tls: ssl.SSLContext | None = None):
        self._tls = tls
        self.port, self.lines_port, self.braces_port = free_ports(3)
        given = {"--port": self.port, "--lines-port": self.lines_port, "--braces-port": self.braces_port}
        command = [sys.executable, "-m", module, *flags]
        command += [str(word) for flag, port in given.items() if flag not in flags for word in (flag, port)]
        self.process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.announced = [self.process.stdout.readline().strip() for _ in range(3 if doors is None else doors)]

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # a test may have stopped it
        try:
            self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end. Returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def say(self, name: str, *lines: str) -> "LineClient":
        """Connect to the port for lines, log in as `name`, and say these lines."""
        client = LineClient(self.lines_port, self._tls)
        try:
            client.write(name)
            client.hear(rf"-!- You are {re.escape(name)}")
            for line in lines:
                client.write(line)
        except BaseException:
            client.close()
            raise
        return client


class LineClient:
    """A client of the port for lines, over TLS if it is given a context."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        self._file = self._socket.makefile("r", encoding="utf-8", newline="\n")

    @property
    def local_port(self) -> int:
        """The port at the client's end of the connection."""
        return self._socket.getsockname()[1]

    def write(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def hear(self, pattern: str) -> str:
        """Read up to a line that contains the pattern, and return it. Raises AssertionError at the end of the input."""
        heard = []
        for line in self._file:
            heard.append(line)
            if re.search(pattern, line):
                return line.rstrip("\n")
        raise AssertionError(f"{pattern!r} was not heard, only {heard}")

    def close(self) -> None:
        with closing(self._socket), closing(self._file):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
