"""What every client of ours does with its connection: know who is here, lose it, and open it again."""

import asyncio
import errno
import random
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from webchat.clients.transcript import Item, printable

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds before the first and, at most, before the last attempt to connect again."""

ANSWER_TIME = 10.0
"""Seconds in which a server is to take a connection, or to answer a login."""


GOODBYES = frozenset({"quit", "exit", "/quit"})


def is_goodbye(line: str) -> bool:
    """Whether a typed line is meant for the client alone: to leave."""
    return line.strip().casefold() in GOODBYES


class Refused(Exception):
    """The server understood, and said no: a sentence for people and, where it is known, the contract's code."""

    def __init__(self, sentence: str, code: str | None = None):
        super().__init__(printable(sentence))
        self.code = code


class Lost(Exception):
    """There is no connection (any more); the text says why, as a sentence without its full stop."""

    def __init__(self, reason: str):
        super().__init__(printable(reason))


@dataclass
class Here:
    """What one knows of the chat: oneself, who is here, and where what one types goes.

    `groups` are the rooms that one may join, `rooms` those that one is in, `room` the one that one talks in (None: to
    everyone). `heard` is the last message's id for each room, `token` proves a guest's right to the name.
    """

    name: str = ""
    password: str = ""
    token: str = ""
    people: set[str] = field(default_factory=set)
    groups: tuple[str, ...] = ()
    rooms: list[str] = field(default_factory=list)
    room: str | None = None
    heard: dict[str, str] = field(default_factory=dict)

    def is_me(self, name: str) -> bool:
        return name.rstrip("*").casefold() == self.name.rstrip("*").casefold()

    def enter(self, room: str) -> None:
        """Into a room, which is then the last of them, and the one that one talks in."""
        self.rooms = [*(each for each in self.rooms if each != room), room]
        self.room = room

    def leave(self, room: str) -> None:
        """Out of a room; whoever talked there talks to everyone again."""
        for each in [each for each in self.rooms if each.casefold() == room.casefold()]:
            self.rooms.remove(each)
            self.heard.pop(each, None)
        if self.room not in self.rooms:
            self.room = None


class Wire(Protocol):
    """One connection, in one of the protocols. What it hears goes to the callable that it was opened with."""

    async def enter(self, name: str, password: str) -> None:
        """Log in. Raises Refused, Lost."""

    async def join(self, room: str) -> None:
        """Enter a room, to talk in it from then on. Raises Refused, Lost."""

    async def send(self, line: str) -> None:
        """Do what a person typed: a text or a command. Raises Refused, Lost."""

    async def deliver(self, line: str) -> None:
        """The same, and return only when the server has dealt with it."""

    async def ended(self) -> str:
        """Wait for the end of the connection; returns the reason."""

    async def leave(self) -> None:
        """Say goodbye, and wait until all that was sent has been taken in. Never raises."""

    def abort(self) -> None:
        """Let go at once."""


def pauses(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait before each attempt: doubled each time, shortened by up to a fifth lest all come back at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * (1 - jitter() / 5)
        pause = min(2 * pause, LONGEST_PAUSE)


class Link:
    """A person's way into the chat, opened again whenever it is lost.

    `open_wire(hear)` connects, or raises Lost. `hear` takes what the server says, `report` sentences of the link's own,
    and `changed` is called when `online`, or `status`, which is for people, is another.
    """

    def __init__(self, open_wire: Callable[[Callable[[Item], None]], Awaitable[Wire]], here: Here,
                 hear: Callable[[Item], None], report: Callable[[str], None],
                 changed: Callable[[], None] = lambda: None, pauses: Callable[[], Iterator[float]] = pauses):
        self.here = here
        self.status = "Connecting …"
        self._open_wire = open_wire
        self._hear = hear
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
        """Connect, log in and enter the rooms. Raises Refused, Lost."""
        self._set(False, "Connecting …")
        wire = await self._open_wire(self._hear)
        try:
            await wire.enter(self.here.name.rstrip("*"), self.here.password)
            await self._rejoin(wire, rooms)
        except BaseException:
            wire.abort()
            raise
        self._wire = wire
        self._set(True, "Connected")

    async def keep(self) -> None:
        """Whenever the connection ends, open it again. Returns never."""
        while True:
            reason = await self._wire.ended()
            self._report(f"{reason}. Trying to come back …")
            await self._reopen(reason)
            self._report(f"Connected again as {self.here.name}.")

    async def send(self, line: str) -> None:
        """Do what a person typed. Raises Refused; Lost, and then it is not known to have arrived."""
        with self._noticing():
            await self._wire.send(line)

    async def deliver(self, line: str) -> None:
        """The same, and return only when the server has dealt with it."""
        with self._noticing():
            await self._wire.deliver(line)

    async def leave(self) -> None:
        """Say goodbye."""
        self._set(False, "Goodbye")
        if self._wire:
            await self._wire.leave()

    async def _reopen(self, reason: str) -> None:
        rooms = self.here.rooms
        for pause in self._pauses():
            self._set(False, f"{reason}. Next attempt in {max(pause, 1):.0f} s")
            await asyncio.sleep(pause)
            try:
                return await self.open(rooms)
            except (Refused, Lost) as error:
                before, reason = reason, str(error).rstrip(".")
                if reason != before:
                    self._report(f"{reason}.")

    async def _rejoin(self, wire: Wire, rooms: Sequence[str]) -> None:
        for room in rooms:
            try:
                await wire.join(room)
            except Refused as refusal:
                self._report(f"#{room}: {refusal}")

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """What cannot be sent says that the connection is lost, perhaps before anybody else does."""
        try:
            if not self.online:
                raise Lost(self.status)
            yield
        except Lost as lost:
            if self.online:
                self._set(False, str(lost))
            raise

    def _set(self, online: bool, status: str) -> None:
        self.status = status
        (self._online.set if online else self._online.clear)()
        self._changed()


_REASONS = {
    errno.ECONNREFUSED: "nobody listens there",
    errno.EHOSTUNREACH: "there is no way to that host",
    errno.ENETUNREACH: "there is no way to that network",
    errno.ETIMEDOUT: "it does not answer",
}


def unreachable(address: object, error: OSError) -> Lost:
    """Why no connection came about."""
    if isinstance(error, TimeoutError):
        reason = _REASONS[errno.ETIMEDOUT]
    elif isinstance(error, socket.gaierror):
        reason = "there is no host of that name"
    else:
        # asyncio folds the errors of several addresses of one name into one without a number.
        number = error.errno or next((int(found) for found in re.findall(r"\[Errno (\d+)\]", str(error))), None)
        reason = _REASONS.get(number) or error.strerror or "no connection came about"
    return Lost(f"Cannot reach {address}: {reason}")
