"""Nodes of one chat in one process: each a hub of its own with its own connection to Redis."""

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from tests.chat.fakes import Outlet, as_it_is, immediately
from webchat.backplane.address import parse
from webchat.backplane.redis import RedisBackplane
from webchat.backplane.timing import Timing
from webchat.chat.accounts import demo_accounts
from webchat.chat.errors import Degraded, NameTaken
from webchat.chat.events import ChatMessage, Login, Say, Tell
from webchat.chat.hub import Hub
from webchat.chat.ids import IdGenerator
from webchat.chat.session import Session

SAFETY_TIMEOUT = 50.0
"""Seconds after which a test gives up waiting; no requirement depends on it."""

STEADY = Timing(reply_timeout=15, heartbeat=0.1, lease=60, grace_period=5, backoff=(0.02, 0.1))
"""For tests without outages: nothing expires, however busy the machine is."""

RECONNECTING = replace(STEADY, grace_period=0.2)
"""For outages that are noticed because a connection ends."""

SENSITIVE = replace(RECONNECTING, reply_timeout=0.4)
"""For outages that are noticed because no reply arrives."""

QUIET = replace(STEADY, heartbeat=3600)
"""For tests that count what nodes send: no heartbeats among it."""


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, on an event loop of its own."""
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 2 * SAFETY_TIMEOUT))
    return run


async def until(true: Callable[[], Any], within: float = SAFETY_TIMEOUT) -> Any:
    """Wait until a condition is true, and return its value. Raises AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := true()):
        assert time.monotonic() < deadline, f"not true within {within} s"
        await asyncio.sleep(0.005)
    return result


class Node:
    """A hub, its backplane, and people connected to it. `skew` is how many seconds its wall clock is off."""

    def __init__(self, url: str, key: str = "secret", timing: Timing = STEADY, skew: float = 0):
        self.backplane = RedisBackplane(parse(url), key, timing=timing)
        self.hub = Hub(demo_accounts(run=immediately), self.backplane, asyncio.get_running_loop(),
                       ids=IdGenerator(clock=lambda: time.time() + skew))
        self.backplane.attach(self.hub)

    async def __aenter__(self) -> "Node":
        await self.backplane.start()
        return self

    async def __aexit__(self, *_: object) -> None:
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
        try:
            await self.hub.handle(session, Login(name, password, token))
        except BaseException:
            self.hub.close(session)
            raise
        return session

    async def do(self, session: Session, command: Any) -> Any:
        return await self.hub.handle(session, command)

    async def say(self, session: Session, text: str, room: str | None = None) -> Any:
        return await self.hub.handle(session, Say(text, room))

    async def tell(self, session: Session, to: str, text: str) -> Any:
        return await self.hub.handle(session, Tell(to, text))


class Three:
    """Three nodes that know each other."""

    def __init__(self, redis, **settings):
        self.nodes = [Node(redis.url, **settings) for _ in range(3)]

    async def __aenter__(self):
        for node in self.nodes:
            await node.__aenter__()
        return self.nodes

    async def __aexit__(self, *_):
        for node in self.nodes:
            await node.__aexit__()


async def acquainted(*nodes: Node) -> set[str]:
    """Wait until all nodes know the same people, and return their names."""
    return await until(lambda: all(node.users() == nodes[0].users() for node in nodes) and nodes[0].users())


async def let_in(node: Node, name: str, password: str = "") -> Session:
    """The session of a person who tries until their name is free and given out."""
    deadline = time.monotonic() + SAFETY_TIMEOUT
    while True:
        try:
            return await node.login(name, password)
        except (NameTaken, Degraded):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def heard_from(node: Node, speaker: Session, listener: Session) -> None:
    """Wait until a message to everyone arrives; those said during an outage do not."""
    while not any(text == "are you there?" for text in texts(listener)):
        await node.say(speaker, "are you there?")
        await asyncio.sleep(0.02)


def texts(session: Session) -> list[str]:
    """The texts of all messages that a session was sent, in order."""
    return [event.text for event in session.outlet.frames if isinstance(event, ChatMessage)]
