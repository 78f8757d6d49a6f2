"""Nodes of one chat in one process: each a hub of its own with its own way to Redis."""

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.chat.fakes import Outlet, as_it_is, immediately
from webchat.backplane.redis import RedisBackplane
from webchat.backplane.redis_client import Timing
from webchat.chat.accounts import demo_accounts
from webchat.chat.events import ChatMessage, Login, Say, Tell
from webchat.chat.hub import Hub
from webchat.chat.ids import IdGenerator
from webchat.chat.session import Session

QUICK = Timing(patience=0.4, beat=0.1, lease=1.2, settle=0.2, pauses=(0.02, 0.1))
"""The same manners in a fifth of the time."""


def on_loop(test: Callable[..., Coroutine]) -> Callable[..., None]:
    """A test that is a coroutine, on an event loop of its own."""
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 30))
    return run


async def until(true: Callable[[], Any], within: float = 5.0) -> Any:
    """Wait for something to become true, and give it. Raises AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := true()):
        assert time.monotonic() < deadline, f"not true within {within} s"
        await asyncio.sleep(0.005)
    return result


class Node:
    """A hub, its backplane, and people at it. `skew` is how many seconds its wall clock is off."""

    def __init__(self, url: str, key: str = "secret", timing: Timing = QUICK, skew: float = 0,
                 kind: type = RedisBackplane):
        self.backplane = kind(url, key, timing=timing)
        self.hub = Hub(demo_accounts(run=immediately), self.backplane, asyncio.get_running_loop(),
                       ids=IdGenerator(clock=lambda: time.time() + skew))
        self.backplane.attach(self.hub)

    async def __aenter__(self) -> "Node":
        await self.backplane.start()
        return self

    async def __aexit__(self, *_) -> None:
        await self.backplane.stop()

    @property
    def is_well(self) -> bool:
        return self.backplane.health()["status"] == "ok"

    @property
    def counts(self):
        return self.backplane.counts

    def users(self) -> set[str]:
        return set(self.hub.people.shown())

    def open(self) -> Session:
        return self.hub.open(encode=as_it_is, outlet=Outlet(), address="127.0.0.1")

    async def login(self, name: str, password: str = "", token: str = "") -> Session:
        session = self.open()
        await self.hub.handle(session, Login(name, password, token))
        return session

    async def do(self, session: Session, command: Any) -> Any:
        return await self.hub.handle(session, command)

    async def say(self, session: Session, text: str, room: str | None = None) -> Any:
        return await self.hub.handle(session, Say(text, room))

    async def tell(self, session: Session, to: str, text: str) -> Any:
        return await self.hub.handle(session, Tell(to, text))


def texts(session: Session) -> list[str]:
    """All that somebody has been told by people, in order."""
    return [event.text for event in session.outlet.frames if isinstance(event, ChatMessage)]
