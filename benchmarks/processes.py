"""Servers in processes of their own, each on one processor, measured from outside (Linux only)."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROCESSORS = sorted(os.sched_getaffinity(0))
"""The processors that may be used. Read before any process is pinned, because a child inherits the setting."""

START_TIMEOUT = 20.0
"""Seconds in which a server has to accept its first connection."""


class CannotRun(Exception):
    """A server did not start; the text is the last line of its output."""


@dataclass(frozen=True)
class Process:
    """A running server."""

    pid: int
    port: int

    def cpu(self) -> float:
        """CPU time of all its threads, kernel included, in µs (`/proc/PID/task/TID/schedstat`, first field, in ns)."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:  # a thread that has ended
                pass
        return total / 1000

    def memory(self) -> float:
        """Resident memory in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[Process]:
    """A server that accepts connections on a port; it is stopped at the end. Raises CannotRun."""
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, preexec_fn=lambda: pin(0),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    try:
        _wait_until_open(server, port)
        yield Process(server.pid, port)
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        _stderr(server).close()


def pin(place: int) -> None:
    """Keep this process to one processor: the server to the first (0), the load to the last (-1)."""
    os.sched_setaffinity(0, {PROCESSORS[place]})


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_open(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    server.kill()
    output = _stderr(server).read().decode(errors="replace").strip().splitlines()
    raise CannotRun(output[-1] if output else "it did not open its port")


def _stderr(server: subprocess.Popen[bytes]) -> IO[bytes]:
    assert server.stderr is not None
    return server.stderr
