"""Fakes for the chat's few surroundings: a clock that is moved by hand, an outlet that keeps what it is given."""

import heapq
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.events import Event, Login
from webchat.chat.hub import Hub
from webchat.chat.session import Session


class Clock:
    """Stands in for an event loop's timers."""

    def __init__(self):
        self.now = 1000.0
        self._timers: list = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + delay, next(self._order), call))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, call = heapq.heappop(self._timers)
            call()
        self.now = end


class Outlet:
    """Keeps the frames that it is sent."""

    def __init__(self):
        self.frames: list[Any] = []
        self.closed: str | None = None

    def send(self, frame: Any) -> None:
        self.frames.append(frame)

    def close(self, reason: str) -> None:
        self.closed = reason

    def take(self) -> list[Any]:
        taken, self.frames = self.frames, []
        return taken

    def of(self, kind: type) -> list[Any]:
        """The events of one type, taken out."""
        return [event for event in self.take() if isinstance(event, kind)]


def as_it_is(event: Event) -> Event:
    """An encoder whose frames are the events."""
    return event


def at_once(coroutine: Coroutine) -> Any:
    """Run a coroutine that must not suspend, and give its result."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    raise AssertionError("It waited for something.")


class Chat:
    """A hub with its fakes, and people who log in to it."""

    def __init__(self, accounts=None, backplane=None, **settings):
        self.clock = Clock()
        self.hub = Hub(accounts or demo_accounts(run=immediately), backplane or LocalBackplane(), self.clock,
                       **settings)

    def open(self, echo: bool = True, encode=as_it_is) -> Session:
        return self.hub.open(encode=encode, outlet=Outlet(), address="127.0.0.1", echo=echo)

    def login(self, username: str, password: str = "", token: str = "", echo: bool = True) -> Session:
        session = self.open(echo)
        session.send(self.do(session, Login(username, password, token)))
        return session

    def do(self, session: Session, command) -> Any:
        return at_once(self.hub.handle(session, command))

    def settle(self) -> None:
        """Let the gathered presence go out, and forget all that was heard."""
        self.clock.advance(1)
        for session in self.hub.sessions:
            session.outlet.take()


async def immediately(call: Callable[..., Any], *args: Any) -> Any:
    """Stands in for the thread pool of the password hashes."""
    return call(*args)
