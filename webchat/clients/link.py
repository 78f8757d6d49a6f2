"""The connection of a client: its state, the interface of its protocols, and how it is opened again when it is lost."""

import asyncio
import errno
import random
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from webchat.clients.transcript import TranscriptItem, printable

FIRST_PAUSE = 0.5
"""Seconds before the first attempt to reconnect."""

MAX_PAUSE = 15.0
"""Seconds before an attempt to reconnect, at most."""

ANSWER_TIMEOUT = 10.0
"""Seconds that a server may take to accept a connection, or to answer a login."""

SLOW_DOWN_PAUSE = 0.25
"""Seconds before a message is sent again that the server refused because it came too fast."""

BAD_CREDENTIALS_CODE, SLOW_DOWN_CODE, NOT_A_MEMBER_CODE = "bad-credentials", "slow-down", "not-a-member"
"""Codes of refusals that a client acts on; docs/protocols.md lists all."""

QUIT_WORDS = frozenset({"quit", "exit", "/quit"})


def is_quit(line: str) -> bool:
    """Whether a typed line asks the client to leave the chat."""
    return line.strip().casefold() in QUIT_WORDS


class Refused(Exception):
    """The server understood a request and refused it. The text is a sentence; `code` is the server's, where known."""

    def __init__(self, sentence: str, code: str | None = None):
        super().__init__(printable(sentence))
        self.code = code


class ConnectionLost(Exception):
    """There is no connection. The text says why: a sentence without its full stop."""

    def __init__(self, reason: str):
        super().__init__(printable(reason))


@dataclass
class ChatState:
    """What the client knows: who its user is, who is here, and where typed text goes.

    `token` lets a guest take their own name back. `groups` are the rooms that the user may join, `rooms` those that
    they are in, `room` the one that typed text goes to (None: to everyone). `last_ids` holds for each room the id of
    the last message received.
    """

    name: str = ""
    password: str = ""
    token: str = ""
    people: set[str] = field(default_factory=set)
    groups: tuple[str, ...] = ()
    rooms: list[str] = field(default_factory=list)
    room: str | None = None
    last_ids: dict[str, str] = field(default_factory=dict)

    def is_own_name(self, name: str) -> bool:
        """Whether a name is the user's, with or without the badge (`*`)."""
        return name.rstrip("*").casefold() == self.name.rstrip("*").casefold()

    def enter_room(self, room: str) -> None:
        """Add a room, as the last in `rooms`, and send typed text there."""
        self.rooms = [*(each for each in self.rooms if each != room), room]
        self.room = room

    def leave_room(self, room: str) -> None:
        """Remove a room; if typed text went there, it goes to everyone again."""
        for each in [each for each in self.rooms if each.casefold() == room.casefold()]:
            self.rooms.remove(each)
            self.last_ids.pop(each, None)
        if self.room not in self.rooms:
            self.room = None

    def leave_all_rooms(self) -> None:
        """A new login begins outside of every room. `last_ids` stays, so that only new messages are shown again."""
        self.rooms, self.room = [], None


class Wire(Protocol):
    """One connection, in one of the protocols. It passes what it receives to the callable that it was opened with."""

    async def log_in(self, name: str, password: str) -> None:
        """Log in. Raises Refused, ConnectionLost."""

    async def join(self, room: str) -> None:
        """Enter a room and send typed text there. Raises Refused, ConnectionLost."""

    async def send(self, line: str) -> None:
        """Send what a person typed: a text or a command. Raises Refused, ConnectionLost."""

    async def deliver(self, line: str) -> None:
        """Like `send`, but return only after the server has processed the line."""

    async def wait_closed(self) -> str:
        """Wait for the end of the connection. Returns the reason, a sentence without its full stop."""

    async def close(self) -> None:
        """Leave the chat, after the server has processed all that was sent. Never raises."""

    def abort(self) -> None:
        """Drop the connection at once."""


def pauses(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait before each attempt to reconnect.

    They double from `FIRST_PAUSE` to `MAX_PAUSE`. Each is shortened at random, by at most a fifth, so that the clients
    of a restarted server do not all reconnect at the same moment.
    """
    pause = FIRST_PAUSE
    while True:
        yield pause * (1 - jitter() / 5)
        pause = min(2 * pause, MAX_PAUSE)


class Link:
    """A connection to the chat that is opened again whenever it is lost.

    `open_wire(show)` connects, or raises ConnectionLost. `show` takes what the server sends, `report` the sentences of
    the link itself. `changed(online, status)` is called whenever one of the two changes; `status` is for people.
    """

    def __init__(self, open_wire: Callable[[Callable[[TranscriptItem], None]], Awaitable[Wire]], state: ChatState,
                 show: Callable[[TranscriptItem], None], report: Callable[[str], None],
                 changed: Callable[[bool, str], None] = lambda online, status: None,
                 pauses: Callable[[], Iterator[float]] = pauses):
        self.state = state
        self.status = "Connecting …"
        self._open_wire = open_wire
        self._show = show
        self._report = report
        self._changed = changed
        self._pauses = pauses
        self._wire: Wire | None = None
        self._online = asyncio.Event()

    @property
    def online(self) -> bool:
        return self._online.is_set()

    async def wait_online(self) -> None:
        await self._online.wait()

    async def open(self, rooms: Sequence[str] = ()) -> None:
        """Connect, log in and enter the rooms. Raises Refused, ConnectionLost."""
        self._set_status(False, "Connecting …")
        wire = await self._open_wire(self._show)
        try:
            await wire.log_in(self.state.name.rstrip("*"), self.state.password)
            await self._enter_rooms(wire, rooms)
        except BaseException:
            wire.abort()
            raise
        self._wire = wire
        self._set_status(True, "Connected")

    async def keep_open(self) -> None:
        """Open the connection again each time it ends, until the task is cancelled. Call it after `open`."""
        while self._wire:
            reason = await self._wire.wait_closed()
            self._report(f"{reason}. Trying to come back …")
            await self._reopen(reason)
            self._report(f"Connected again as {self.state.name}.")

    async def send(self, line: str) -> None:
        """Send what a person typed. Raises Refused; ConnectionLost, and then the line may or may not have arrived."""
        with self._connected() as wire:
            await wire.send(line)

    async def deliver(self, line: str) -> None:
        """Like `send`, but return only after the server has processed the line."""
        with self._connected() as wire:
            await wire.deliver(line)

    async def close(self) -> None:
        """Leave the chat."""
        self._set_status(False, "Goodbye")
        if self._wire:
            await self._wire.close()

    async def _reopen(self, reason: str) -> None:
        rooms = self.state.rooms
        for pause in self._pauses():
            self._set_status(False, f"{reason}. Next attempt in {max(pause, 1):.0f} s")
            await asyncio.sleep(pause)
            try:
                return await self.open(rooms)
            except (Refused, ConnectionLost) as error:
                previous, reason = reason, str(error).rstrip(".")
                if reason != previous:
                    self._report(f"{reason}.")

    async def _enter_rooms(self, wire: Wire, rooms: Sequence[str]) -> None:
        for room in rooms:
            try:
                await wire.join(room)
            except Refused as refusal:
                self._report(f"#{room}: {refusal}")

    @contextmanager
    def _connected(self) -> Iterator[Wire]:
        """The open connection. A failed send marks it as lost at once; `keep_open` may notice later."""
        if not self._wire or not self.online:
            raise ConnectionLost(self.status)
        try:
            yield self._wire
        except ConnectionLost as lost:
            if self.online:
                self._set_status(False, str(lost))
            raise

    def _set_status(self, online: bool, status: str) -> None:
        self.status = status
        (self._online.set if online else self._online.clear)()
        self._changed(online, status)


_REASONS = {
    errno.ECONNREFUSED: "nobody listens there",
    errno.EHOSTUNREACH: "there is no route to that host",
    errno.ENETUNREACH: "there is no route to that network",
    errno.ETIMEDOUT: "it does not answer",
}


def unreachable(address: object, error: OSError) -> ConnectionLost:
    """A failed attempt to connect, as a sentence for people."""
    if isinstance(error, TimeoutError):
        reason = _REASONS[errno.ETIMEDOUT]
    elif isinstance(error, socket.gaierror):
        reason = "there is no host of that name"
    else:
        # From the text, because asyncio joins the errors of a name's several addresses into one without a number.
        number = re.search(r"\[Errno (\d+)\]", str(error))
        reason = number and _REASONS.get(int(number[1])) or error.strerror or "the connection failed"
    return ConnectionLost(f"Cannot reach {address}: {reason}")
