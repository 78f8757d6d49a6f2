"""The backplane that makes any number of processes one chat, through Redis 7 or later.

A node listens to three kinds of sharded channels: the one that everybody hears, its own, and those of the rooms in
which it has members. A private message goes to the own channels of the nodes that its recipient is connected to, which
every node knows from presence: nobody else hears it, and a user costs Redis no subscription.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Iterator

from webchat.backplane.claims import LIFE, Claims
from webchat.backplane.nodes import Nodes
from webchat.backplane.redis_client import Command, Link, Timing
from webchat.backplane.rooms import Rooms
from webchat.chat.errors import Degraded
from webchat.chat.events import ChatMessage, Event, Typing
from webchat.chat.names import Name
from webchat.chat.room import Room
from webchat.codecs.node import InvalidFrame, NodeCodec, NodeItem, NodeLeft, NodeMessage, NodeTyping, Occupants

log = logging.getLogger(__name__)

BACKLOG = 5000
"""Items that may wait for Redis; more are dropped. A round trip takes all that wait."""

TOGETHER = 100
"""Items in one frame."""

TICK = 0.25
"""Seconds between two looks at who has not been heard of."""

COUNTS = ("published", "received", "dropped", "junk", "reconnects", "refused")

ROOM, USER = "room:", "user:"


class RedisBackplane:
    """See `webchat.backplane.contract.Backplane` for the contract.

    `key` signs what nodes tell each other. `counts` since the start: items `published`, `received` and `dropped` (not
    sent, because Redis was away or too slow), frames that were `junk` (not of a node of ours), `reconnects`, and
    commands that Redis `refused`.
    """

    def __init__(self, url: str, key: str | None = None, *, timing: Timing | None = None):
        self.node = secrets.token_hex(8)
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._timing = timing or Timing()
        self._codec = NodeCodec(self.node, key or "")
        self._link = Link(url, f"webchat-{self.node}", self._timing, session=self._session, collect=self._collect,
                          heard=self._heard, lost=self._lost, counts=self.counts)
        self._prefix = f"webchat{self._link.database or ''}"
        self._everyone = f"{self._prefix}:all"
        self._outgoing: list[tuple[str, list[NodeItem]]] = []
        self._waiting = 0
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task] = []
        self._awake = 0.0
        self._heard_self = 0.0
        self._was_up = self._told = False

    def attach(self, hub) -> None:
        self._hub = hub
        self._claims = Claims(self.node, self._prefix, hub, self._timing, self._link, lambda: self._nodes)
        self._nodes = Nodes(hub, self._claims.held, self._post_to_node, lambda: self._awake,
                            lambda node: self._rooms.dropped(node))
        self._rooms = Rooms(self._prefix, hub, self._codec, self._link, self._nodes, self._post,
                            self._claims.lease_of, self.counts)

    async def start(self) -> None:
        """Join the others, if Redis answers: what they know is known when this returns."""
        self._tasks = [asyncio.create_task(self._link.run()), asyncio.create_task(self._tick())]
        tried = asyncio.create_task(self._link.tried.wait())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait((tried, ready), return_when=asyncio.FIRST_COMPLETED, timeout=3 * self._timing.patience)
        tried.cancel()
        ready.cancel()
        if not self._ready.is_set():
            self._say_lost()

    async def stop(self) -> None:
        """Leave the others properly. Takes no longer than Redis may take for a reply."""
        if not self._tasks:
            return
        self._claims.release_all()
        self._rooms.leave()
        self._post(NodeLeft(), self._everyone)
        self._link.send("DEL", self._claims.lease_of(self.node))
        await asyncio.wait((self._link.flush(),), timeout=self._timing.patience)
        self._ready.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    # What the hub asks for.

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        mine = self._claims.mine(name, authenticated, token)
        if mine is None:
            await self._admission()
            mine = await self._claims.claim(name, authenticated, token)
        return mine

    async def recognises(self, key: str, token: str) -> bool:
        return await self._claims.recognises(key, token)

    def release(self, key: str) -> None:
        self._claims.release(key)

    def publish(self, event: Event, channel: str) -> None:
        if isinstance(event, ChatMessage):
            item = NodeMessage(channel, event)
            if event.room is not None:
                self._rooms.remember(event)
        elif isinstance(event, Typing):
            item = NodeTyping(channel, event)
        else:
            return
        for to in self._listening(channel):
            self._post(item, to)

    async def enter(self, room: Room) -> None:
        await self._rooms.enter(room)

    def occupants(self, room: Room) -> None:
        self._rooms.occupants(room)

    def health(self) -> dict:
        if self._ready.is_set():
            return {"status": "ok", "backplane": "redis", "nodes": 1 + len(self._nodes)}
        return {"status": "degraded", "backplane": "redis", "nodes": 1 + len(self._nodes),
                "reason": f"Redis is away ({self._link.problem}); new names are refused."}

    # What the others are told.

    def _listening(self, channel: str) -> Iterator[str]:
        """The Redis channels on which those listen who need what is said on a channel of the hub."""
        if channel.startswith(ROOM):
            yield self._rooms.channel(channel.removeprefix(ROOM))
        elif channel.startswith(USER):
            if person := self._hub.people.find(channel.removeprefix(USER)):
                yield from map(self._own_channel, person.nodes)
        elif self._nodes:
            yield self._everyone

    def _post_to_node(self, item: NodeItem, node: str | None) -> None:
        self._post(item, self._everyone if node is None else self._own_channel(node))

    def _post(self, item: NodeItem, channel: str) -> None:
        """Have an item sent with the next round trip; those for one channel share a frame, in the order they came."""
        if not self._link.up or self._waiting >= BACKLOG:
            self.counts["dropped"] += 1
            return
        self._waiting += 1
        if self._outgoing and self._outgoing[-1][0] == channel and len(self._outgoing[-1][1]) < TOGETHER:
            self._outgoing[-1][1].append(item)
        else:
            self._outgoing.append((channel, [item]))
        self._link.wake()

    def _collect(self) -> Iterator[Command]:
        yield from self._rooms.collect()  # first kept, then told: who comes in between has it in one way at least
        outgoing, self._outgoing, self._waiting = self._outgoing, [], 0
        for channel, items in outgoing:
            self.counts["published"] += len(items)
            for frame in self._codec.encode(channel, items):
                yield "SPUBLISH", channel, frame

    def _lost(self) -> None:
        """The link is gone, and with it what was queued."""
        self.counts["dropped"] += self._waiting
        self._outgoing, self._waiting = [], 0
        self._rooms.lost()
        if self._ready.is_set():
            self._ready.clear()
            self._say_lost()

    # What the others say.

    def _heard(self, channel: str, data: bytes) -> None:
        try:
            frame = self._codec.decode(channel, data)
        except InvalidFrame as junk:
            self.counts["junk"] += 1
            self._link.say(logging.WARNING, "A frame on %s was dropped. %s", channel, junk)
            return
        if frame.node == self.node:
            self._heard_self = self._awake
            return
        self.counts["received"] += len(frame.items)
        self._nodes.alive(frame.node)
        for item in frame.items:
            try:
                self._take(frame.node, item)
            except Exception:
                log.exception("An item from another node could not be dealt with.")

    def _take(self, node: str, item: NodeItem) -> None:
        match item:
            case NodeMessage(channel, message):
                self._hub.remote_event(message, channel)
            case NodeTyping(channel, typing):
                self._hub.remote_event(typing, channel)
            case Occupants():
                self._rooms.hear(node, item)
            case _:
                self._nodes.hear(node, item)

    # How the link is lived on.

    async def _session(self) -> None:
        """What is done after each connecting: listen, claim what is ours, ask who is here; then beat."""
        returning, self._was_up = self._was_up, True
        link = self._link
        for confirmed in [link.subscribe(self._everyone), link.subscribe(self._own_channel(self.node)),
                          *self._rooms.listen()]:
            await confirmed
        await self._renew_lease()
        await self._claims.reclaim()
        self._rooms.rewrite()
        hello, = self._codec.encode(self._everyone, [self._nodes.beat(hello=True)])
        listeners = await link.ask("SPUBLISH", self._everyone, hello)
        try:
            async with asyncio.timeout(self._timing.settle):
                await (asyncio.Event().wait() if returning else self._nodes.known(listeners - 1))
        except TimeoutError:
            pass
        await self._rooms.reread()
        self._heard_self = self._awake
        self._ready.set()
        if self._told:
            self._told = False
            log.info("Redis is back.")
        while True:
            await asyncio.sleep(self._timing.beat)
            await self._beat()

    async def _beat(self) -> None:
        if not await self._renew_lease():  # Redis lost its memory, or we were thought dead
            await self._claims.reclaim()
            self._rooms.rewrite()
        self._post(self._nodes.beat(), self._everyone)
        await self._claims.refresh(2 * self._timing.beat / LIFE)
        if self._awake - self._heard_self > self._timing.beat + 2 * self._timing.patience:
            raise TimeoutError("what is published is not heard")

    async def _renew_lease(self) -> bool:
        """Live on for a lease; returns whether we were alive to the others until now."""
        life = int(self._timing.lease * 1000)
        return await self._link.ask("SET", self._claims.lease_of(self.node), 1, "PX", life, "GET") is not None

    async def _tick(self) -> None:
        """Count the seconds that we were awake: a stopped process has nobody to blame for not having been heard."""
        loop = asyncio.get_running_loop()
        last, refreshed = loop.time(), 0.0
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            self._awake += min(now - last, 2 * TICK)
            last = now
            self._nodes.expire(self._timing.lease + 2 * TICK)  # no earlier than the lease on its names
            if self._awake - refreshed > LIFE / 2:
                refreshed = self._awake
                self._rooms.refresh()

    async def _admission(self) -> None:
        """Wait until new names can be given out: no longer than a moment, and not at all while Redis is away."""
        try:
            async with asyncio.timeout(self._timing.patience):
                if not self._link.up:
                    raise Degraded
                await self._ready.wait()
        except TimeoutError:
            raise Degraded from None

    def _own_channel(self, node: str) -> str:
        return f"{self._prefix}:{{node:{node}}}"

    def _say_lost(self) -> None:
        self._told |= self._link.say(
            logging.WARNING, "Redis is away (%s): the chat goes on here, but new names are refused.",
            self._link.problem)
