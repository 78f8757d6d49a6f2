"""Servers as other processes: started on a processor of their own, and measured from outside (Linux only)."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROCESSORS = sorted(os.sched_getaffinity(0))
"""Those that we may use; asked before anything is pinned, for a child inherits its parent's."""

START_TIME = 20.0
"""Seconds that a server has to accept its first connection."""


class CannotRun(Exception):
    """A server did not start; the text says what it said."""


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
            except FileNotFoundError:  # a thread that has ended meanwhile
                pass
        return total / 1000

    def memory(self) -> float:
        """Resident memory in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[Process]:
    """Start a server, and stop it in the end. Raises CannotRun."""
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
        server.stderr.close()


def pin(place: int) -> None:
    """Keep this process to one processor: the server to the first (0), the load to the last (-1)."""
    os.sched_setaffinity(0, {PROCESSORS[place]})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_until_open(server: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_TIME
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    server.kill()
    said = server.stderr.read().decode(errors="replace").strip().splitlines()
    raise CannotRun(said[-1] if said else "it did not open its port")
