"""The TCP doors in a process of their own, for tests that run real programs.

    python -m tests.gateways.standalone [DESCRIPTORS]

Prints the ports of the lines door and of the braces door; ends when its standard input has something to read, or ends.
"""

import asyncio
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tornado.netutil import bind_sockets

from tests.chat.fakes import immediately
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.hub import Hub
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import LineDoor
from webchat.net.outbox import Outbox


async def main(descriptors: int | None = None) -> None:
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    loop = asyncio.get_running_loop()
    hub, outbox = Hub(demo_accounts(run=immediately), LocalBackplane(), loop), Outbox()
    for door in (LineDoor(hub, outbox), BraceDoor(hub, outbox)):
        sockets = bind_sockets(0, "127.0.0.1")
        door.add_sockets(sockets)
        print(sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


class Doors:
    """A running process: its ports and, after its end, what it wrote to standard error."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.lines_port, self.braces_port = int(process.stdout.readline()), int(process.stdout.readline())
        self.complaints = b""


@contextmanager
def doors(descriptors: int | None = None):
    command = [sys.executable, "-m", __name__, *([str(descriptors)] if descriptors else [])]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        running = Doors(process)
        try:
            yield running
        finally:
            running.complaints = process.communicate(timeout=5)[1]


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
