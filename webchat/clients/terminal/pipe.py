"""The chat between two programs: lines from a program in, lines for a program out."""

import asyncio
import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TextIO

from webchat.clients.link import SLOW_DOWN_CODE, SLOW_DOWN_PAUSE, ChatState, ConnectionLost, Link, Refused, is_quit
from webchat.clients.transcript import TranscriptItem, UserMessage, plain

INPUT_READ_SIZE = 64 * 1024
"""Bytes that are read from stdin at once."""

MAX_INPUT_LINE = 1 << 20
"""Bytes of a line of stdin. The server's limit is far lower; it refuses longer lines in its own words."""

MAX_UNSENT_READS = 16
"""Reads of stdin that may wait to be sent. Then reading pauses, which pauses the program that writes."""

RECONNECT_TIMEOUT = 60.0
"""Seconds after which a lost connection is given up: a script has to end."""


class Printer:
    """Writes what others say as plain lines, while the client is connected."""

    def __init__(self, state: ChatState, output: TextIO):
        self._state = state
        self._output = output
        self._online = False
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace", line_buffering=True)

    def set_status(self, online: bool, status: str) -> None:
        """Take the status of the link. Nothing is written during a login."""
        self._online = online

    def show(self, item: TranscriptItem) -> None:
        """Write an item, unless the user of this client said it."""
        own = isinstance(item, UserMessage) and item.sender == self._state.name
        if own or not self._online:
            return
        try:
            print(*plain(item), sep="\n", file=self._output)
        except BrokenPipeError:
            # Nobody reads the output any more, but the input still has to be sent.
            with open(os.devnull, "wb") as devnull:
                os.dup2(devnull.fileno(), self._output.fileno())


def report(sentence: str) -> None:
    """Write a sentence to stderr."""
    print(sentence, file=sys.stderr)


async def run(link: Link, room: str | None, lines: AsyncIterator[str]) -> int:
    """Log in, send every line, leave after the server has processed them all. Returns the exit status.

    With a `room`, lines are sent to that room only. Raises Refused or ConnectionLost if the login fails.
    """
    await link.open([room] if room else [])
    if bool(room) != bool(link.state.room):
        await link.close()
        return 1  # the link has reported why the room cannot be entered
    keeper = asyncio.create_task(link.keep_open())
    try:
        return await Sender(link, report).send_all(lines)
    finally:
        keeper.cancel()
        await link.close()


class Sender:
    """Sends lines one after the other, each until the server has processed it.

    Refusals go to `report`. `pause` waits for a number of seconds; `reconnect_timeout` is in seconds.
    """

    def __init__(self, link: Link, report: Callable[[str], None],
                 pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
                 reconnect_timeout: float = RECONNECT_TIMEOUT):
        self._link = link
        self._report = report
        self._pause = pause
        self._reconnect_timeout = reconnect_timeout
        self._room = link.state.room

    async def send_all(self, lines: AsyncIterator[str]) -> int:
        """Send lines up to the end, or up to a line that asks to leave. Returns the exit status: 1 after a refusal.

        Raises ConnectionLost if a lost connection does not come back in time.
        """
        status = 0
        async for line in lines:
            if is_quit(line):
                break
            try:
                await self._deliver(line)
            except Refused as refusal:
                self._report(str(refusal))
                status = 1
            if line.startswith("/"):
                self._room = self._link.state.room
        return status

    async def _deliver(self, line: str) -> None:
        """Send a line again after a lost connection, or after it came too fast. Raises Refused, ConnectionLost."""
        while line.strip():
            try:
                if self._link.online and self._link.state.room != self._room:
                    raise Refused(f"#{self._room} could not be entered again; this has not been said: {line}")
                return await self._link.deliver(line)
            except Refused as refusal:
                if refusal.code != SLOW_DOWN_CODE:
                    raise
                await self._pause(SLOW_DOWN_PAUSE)
            except ConnectionLost as lost:
                await self._wait_online(lost)

    async def _wait_online(self, lost: ConnectionLost) -> None:
        try:
            async with asyncio.timeout(self._reconnect_timeout):
                await self._link.wait_online()
        except TimeoutError:
            raise lost from None


async def read_lines(fileno: int) -> AsyncIterator[str]:
    """The lines of a file descriptor of any kind. The last one needs no newline.

    Raises Refused for a line of more than `MAX_INPUT_LINE` bytes.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    free = threading.Semaphore(MAX_UNSENT_READS)

    def read() -> None:
        # A thread, because an event loop cannot wait for a plain file. `os.read`, because a daemon thread that holds
        # the lock of a buffered reader makes the interpreter fail at exit.
        with suppress(RuntimeError):  # the event loop has ended first
            data = None
            while data != b"":
                free.acquire()
                data = os.read(fileno, INPUT_READ_SIZE)
                loop.call_soon_threadsafe(queue.put_nowait, data)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    rest = b""
    while data := await queue.get():
        free.release()
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield _text(line)
        if len(rest) > MAX_INPUT_LINE:
            raise Refused("A line of the input is longer than any message may be.")
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
