"""Fakes for what surrounds the chat: a clock that tests move, outlets that keep their frames, a watched backplane."""

import heapq
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.events import Command, Event, Login
from webchat.chat.hub import Hub
from webchat.chat.names import Name
from webchat.chat.room import Room
from webchat.chat.session import Session


class Clock:
    """A clock with timers; time passes only in `advance`."""

    def __init__(self):
        self.now = 1000.0
        self._timers: list = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + delay, next(self._order), callback))

    def advance(self, seconds: float) -> None:
        """Let time pass, and call the timers that are due."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, callback = heapq.heappop(self._timers)
            callback()
        self.now = end


class Outlet:
    """Keeps the frames that it is sent. `closed` is the reason for closing it; None while it is open."""

    def __init__(self):
        self.frames: list[Any] = []
        self.closed: str | None = None

    def send(self, frame: Any) -> None:
        self.frames.append(frame)

    def close(self, reason: str) -> None:
        self.closed = reason

    def take(self) -> list[Any]:
        """Return the frames so far, and forget them."""
        taken, self.frames = self.frames, []
        return taken

    def of(self, kind: type) -> list[Any]:
        """Return the frames of one type, and forget all."""
        return [event for event in self.take() if isinstance(event, kind)]


class WatchedBackplane(LocalBackplane):
    """A local backplane that records the calls of the hub.

    `during_claim` and `during_enter` are called while the hub waits for the answer.
    """

    def __init__(self, during_claim: Callable[[], None] | None = None,
                 during_enter: Callable[[], None] | None = None):
        super().__init__()
        self.during_claim = during_claim
        self.during_enter = during_enter
        self.claimed: list[str] = []
        self.released: list[str] = []
        self.published: list[tuple[Event, str]] = []
        self.occupied: list[tuple[str, frozenset[str]]] = []

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        self.claimed.append(name.text)
        if self.during_claim:
            self.during_claim()
        return await super().claim(name, authenticated, token)

    def release(self, key: str) -> None:
        self.released.append(key)
        super().release(key)

    async def enter(self, room: Room) -> None:
        if self.during_enter:
            self.during_enter()

    def publish(self, event: Event, channel: str) -> None:
        self.published.append((event, channel))

    def occupants(self, room: Room) -> None:
        self.occupied.append((room.name, room.local_names()))


def as_it_is(event: Event) -> Event:
    """An encoder whose frames are the events themselves."""
    return event


def at_once(coroutine: Coroutine) -> Any:
    """Run a coroutine that must not wait for anything, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    raise AssertionError("The coroutine waited for something.")


class Chat:
    """A hub with fakes around it, and shortcuts for its clients."""

    def __init__(self, accounts=None, backplane=None, **settings):
        self.clock = Clock()
        self.hub = Hub(accounts or demo_accounts(run=immediately), backplane or LocalBackplane(), self.clock,
                       **settings)

    def open(self, echo: bool = True, encode=as_it_is, address: str = "127.0.0.1") -> Session:
        return self.hub.open(encode=encode, outlet=Outlet(), address=address, echo=echo)

    def login(self, username: str, password: str = "", token: str = "", echo: bool = True,
              address: str = "127.0.0.1") -> Session:
        session = self.open(echo, address=address)
        session.send(self.do(session, Login(username, password, token)))
        return session

    def do(self, session: Session, command: Command) -> Any:
        return at_once(self.hub.handle(session, command))

    def settle(self) -> None:
        """Let pending presence be sent, and forget all frames."""
        self.clock.advance(1)
        for session in self.hub.sessions:
            session.outlet.take()


async def immediately(network: str, compare: Callable[..., Any], *args: Any) -> Any:
    """Compare a password without a thread."""
    return compare(*args)
