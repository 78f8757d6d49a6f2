"""A chat without a terminal: lines in from a program, lines out to a program."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from webchat.clients.link import Link, Lost, Refused, is_goodbye
from webchat.clients.transcript import Item, Spoken, plain

CHUNK = 64 * 1024
LONGEST_LINE = 1 << 20
"""Bytes; the server takes far less, but says so itself."""

READ_AHEAD = 16
"""Chunks that wait for their turn; then whoever writes them waits."""

COMEBACK_TIME = 60.0
"""Seconds after which a lost connection is given up: a script has to end."""

SLOW_DOWN = "slow-down"
BREATH = 0.25
"""Seconds before a line is tried again that came too fast for the server."""


class Printer:
    """What others say, on stdout, for as long as one is in the chat."""

    def __init__(self) -> None:
        self.link: Link | None = None
        sys.stdout.reconfigure(errors="replace", line_buffering=True)

    def show(self, item: Item) -> None:
        own = isinstance(item, Spoken) and item.sender == self.link.here.name
        if own or not self.link.online:
            return
        try:
            print(*plain(item), sep="\n")
        except BrokenPipeError:
            # Nobody reads any more; what comes in is still to be said.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(sentence: str) -> None:
    print(sentence, file=sys.stderr)


async def run(link: Link, room: str | None) -> int:
    """Log in, say every line of stdin, leave when all has been taken in; returns the exit status.

    Raises Refused or Lost where it does not come to that.
    """
    await link.open([room] if room else [])
    status = 0 if bool(room) == bool(link.here.room) else 1  # what was meant for a room is not for everyone
    keeper = asyncio.create_task(link.keep())
    try:
        if not status:
            status = await _say_all(link)
    finally:
        keeper.cancel()
        await link.leave()
    return status


async def _say_all(link: Link) -> int:
    status, room = 0, link.here.room
    async for line in stdin_lines():
        if is_goodbye(line):
            break
        try:
            await _deliver(link, line, room)
        except Refused as refusal:
            report(str(refusal))
            status = 1
        if line.startswith("/"):
            room = link.here.room
    return status


async def _deliver(link: Link, line: str, room: str | None) -> None:
    """Have the server take a line, however often the connection is lost meanwhile. Raises Refused, Lost."""
    while line.strip():
        try:
            if link.online and link.here.room != room:
                raise Refused(f"#{room} could not be entered again; this has not been said: {line}")
            return await link.deliver(line)
        except Refused as refusal:
            if refusal.code != SLOW_DOWN:
                raise
            await asyncio.sleep(BREATH)
        except Lost as lost:
            await _comeback(link, lost)


async def _comeback(link: Link, lost: Lost) -> None:
    try:
        async with asyncio.timeout(COMEBACK_TIME):
            await link.wait_online()
    except TimeoutError:
        raise lost from None


async def stdin_lines() -> AsyncIterator[str]:
    """The lines of stdin, whatever kind of file it is; the last one needs no newline. Raises Refused."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue(READ_AHEAD)

    def read() -> None:
        # A thread, because a plain file cannot be waited for; `os.read`, because a daemon thread that holds the lock
        # of a buffered reader would bring down the interpreter at its exit.
        with suppress(RuntimeError):
            data = None
            while data != b"":
                data = os.read(sys.stdin.fileno(), CHUNK)
                asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()

    threading.Thread(target=read, name="stdin", daemon=True).start()
    rest = b""
    while data := await queue.get():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield _text(line)
        if len(rest) > LONGEST_LINE:
            raise Refused("A line of the input is longer than any message may be.")
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
