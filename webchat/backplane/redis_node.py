"""This process as one node of a chat that spans several: what it does with its connection to Redis."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from msgspec.structs import replace

from webchat.backplane.checks import Checks
from webchat.backplane.claims import Claims
from webchat.backplane.hub import BackplaneHub
from webchat.backplane.keys import RedisKeys
from webchat.backplane.nodes import Nodes
from webchat.backplane.persistence import warn_if_saved
from webchat.backplane.publisher import Publisher
from webchat.backplane.redis_client import RedisClient, RedisCommand
from webchat.backplane.rooms import SharedRooms
from webchat.backplane.timing import AwakeClock, Timing
from webchat.chat.errors import Degraded
from webchat.chat.events import ChatMessage, Event, Typing
from webchat.chat.names import Name
from webchat.chat.room import Room
from webchat.codecs.node import (
    InvalidFrame,
    NodeCodec,
    NodeItem,
    NodeLeft,
    NodeMessage,
    NodePresence,
    NodeState,
    NodeTyping,
    Occupants,
)

log = logging.getLogger(__name__)

CHECK_INTERVAL = 0.25
"""Seconds between two checks for nodes that have fallen silent."""

ROOM_PREFIX, USER_PREFIX = "room:", "user:"


class RedisNode:
    """One node of the chat, for the hub of this process; the `ConnectionHandler` of its RedisClient.

    The methods that the hub needs are those of `webchat.backplane.contract.Backplane`.
    """

    def __init__(self, hub: BackplaneHub, client: RedisClient, codec: NodeCodec, timing: Timing, counts: Counter[str]):
        self._hub = hub
        self._client = client
        self._codec = codec
        self._timing = timing
        self._counts = counts
        self._clock = AwakeClock(max_step=2 * CHECK_INTERVAL)
        self._keys = RedisKeys(client.database)
        self._publisher = Publisher(client, codec, self._keys, counts)
        self._nodes = Nodes(hub, self._publisher, self._clock)
        self._claims = Claims(codec.node, hub, client, self._nodes, self._keys, timing)
        self._checks = Checks(hub.people, client, counts)
        self._rooms = SharedRooms(hub, client, codec, self._keys, self._publisher, self._nodes, self._checks)
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._own_last_heard = 0.0
        self._connected_before = False
        self._outage_logged = False
        self._persistence_checked = False

    async def start(self) -> None:
        """Join the other nodes. If Redis answers, the people on them are known when this returns."""
        self._tasks = [asyncio.create_task(self._client.run(self)), asyncio.create_task(self._watch_nodes())]
        outcomes = [asyncio.create_task(each.wait()) for each in (self._client.attempted, self._ready)]
        await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED, timeout=3 * self._timing.reply_timeout)
        for each in outcomes:
            each.cancel()
        if not self._ready.is_set():
            self._log_outage()

    async def stop(self) -> None:
        """Leave the other nodes: the names are free at once. Takes no longer than `reply_timeout`."""
        if not self._tasks:
            return
        self._claims.release_all()
        self._rooms.leave_all()
        self._publisher.to_everyone(NodeLeft())
        self._client.send("DEL", self._keys.lease(self._codec.node))
        for command in self.pending_commands():
            self._client.send(*command)
        await asyncio.wait((self._client.execute("PING"),), timeout=self._timing.reply_timeout)
        self._ready.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    # Called by the hub.

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        held = self._claims.claim_held(name, authenticated, token)
        if held is not None:
            return held
        await self._wait_until_ready()
        return await self._claims.claim(name, authenticated, token)

    async def recognises(self, key: str, token: str) -> bool:
        return await self._claims.recognises(key, token)

    def release(self, key: str) -> None:
        self._claims.release(key)

    def publish(self, event: Event, channel: str) -> None:
        if isinstance(event, ChatMessage):
            if event.room is not None:
                self._rooms.remember(self._hub.rooms[event.room], event)
            self._send(NodeMessage(channel, event), channel)
        elif isinstance(event, Typing):
            self._send(NodeTyping(channel, event), channel)

    async def enter(self, room: Room) -> None:
        await self._rooms.enter(room)

    def occupants(self, room: Room) -> None:
        self._rooms.occupants(room)

    def health(self) -> dict[str, Any]:
        state = {"status": "ok", "backplane": "redis", "nodes": 1 + len(self._nodes)}
        if self._ready.is_set():
            return state
        return state | {"status": "degraded"}  # why is in the log: strangers may read this

    def _send(self, item: NodeItem, channel: str) -> None:
        """Send an item to the nodes that have listeners on a channel of the hub."""
        if channel.startswith(ROOM_PREFIX):
            self._publisher.to_room(channel.removeprefix(ROOM_PREFIX), item)
        elif channel.startswith(USER_PREFIX):
            if person := self._hub.people.find(channel.removeprefix(USER_PREFIX)):
                for node in person.nodes:
                    self._publisher.to_node(node, item)
        elif self._nodes:
            self._publisher.to_everyone(item)

    async def _wait_until_ready(self) -> None:
        """Wait until new names can be given out. Raises Degraded: after `reply_timeout`, or at once without Redis."""
        if not self._client.is_connected:
            raise Degraded
        try:
            async with asyncio.timeout(self._timing.reply_timeout):
                await self._ready.wait()
        except TimeoutError:
            raise Degraded from None

    # Called by the client.

    async def connected(self) -> None:
        """Join the other nodes over a new connection, then send heartbeats for as long as it lasts."""
        rejoins, self._connected_before = self._connected_before, True
        for channel in (self._keys.everyone, self._keys.node(self._codec.node)):
            await self._client.subscribe(channel)
        await self._renew_lease()
        await self._restore()
        await self._greet_nodes(rejoins)
        await self._rooms.sync_all()
        self._own_last_heard = self._clock()
        self._ready.set()
        if self._outage_logged:
            self._outage_logged = False
            log.info("Redis is reachable again.")
        if not self._persistence_checked:
            await warn_if_saved(self._client)
            self._persistence_checked = True
        while True:
            await asyncio.sleep(self._timing.heartbeat)
            await self._send_heartbeat()

    def pending_commands(self) -> Iterator[RedisCommand]:
        """What is queued: first the histories, then the messages.

        So a session that joins a room in between receives a message in at least one of the two ways.
        """
        return chain(self._rooms.take(), self._publisher.take())

    def received(self, channel: str, data: bytes) -> None:
        """Process a frame of another node. What cannot be trusted of it is counted and dropped."""
        try:
            frame = self._codec.decode(channel, data)
        except InvalidFrame as junk:
            self._checks.drop(channel, junk)
            return
        if frame.node == self._codec.node:
            self._own_last_heard = self._clock()
            return
        self._counts["received"] += len(frame.items)
        self._nodes.mark_alive(frame.node)
        for reason in frame.junk:
            self._checks.drop(channel, reason)
        for item in frame.items:
            try:
                self._receive(frame.node, item)
            except InvalidFrame as junk:
                self._checks.drop(channel, junk)
            except Exception:
                self._client.log_rarely(logging.ERROR, "An item from a node could not be processed.", exc_info=True)

    def disconnected(self) -> None:
        """Drop what is queued, and refuse new names until the connection is back."""
        self._publisher.drop_all()
        self._rooms.disconnected()
        if self._ready.is_set():
            self._ready.clear()
            self._log_outage()

    def _receive(self, node: str, item: NodeItem) -> None:
        match item:
            case NodeMessage(channel, message):
                self._checks.check_message(message, channel)
                self._hub.remote_event(message, channel)
            case NodeTyping(channel, typing):
                self._checks.check_typing(typing, channel)
                self._hub.remote_event(typing, channel)
            case Occupants(room, joined):
                self._rooms.receive(node, replace(item, joined=self._checks.sound_names(room, joined)))
            case NodeLeft():
                self._drop_node(node)
            case NodePresence(_, joined):
                self._nodes.receive(node, replace(item, joined=self._checks.sound_people("presence", joined)))
            case NodeState(people=people):
                self._nodes.receive(node, replace(item, people=self._checks.sound_people("presence", people)))
            case _:
                self._nodes.receive(node, item)

    # Leases and heartbeats.

    async def _greet_nodes(self, rejoins: bool) -> None:
        """Ask the other nodes for their states, and wait for them, at most for the grace period.

        After a reconnect the whole period is waited for, in which nodes that are not back yet can reclaim their names.
        """
        hello, = self._codec.encode(self._keys.everyone, [self._nodes.heartbeat(hello=True)])
        subscribers = await self._client.execute("SPUBLISH", self._keys.everyone, hello)
        if rejoins:
            await asyncio.sleep(self._timing.grace_period)
            return
        try:
            async with asyncio.timeout(self._timing.grace_period):
                await self._nodes.wait_for_states(subscribers - 1)
        except TimeoutError:
            pass  # a subscriber that does not answer may be about to leave

    async def _send_heartbeat(self) -> None:
        if not await self._renew_lease():  # Redis has lost its data, or the others took this node for dead
            await self._restore()
        self._publisher.to_everyone(self._nodes.heartbeat())
        await self._claims.renew(2 * self._timing.heartbeat / self._timing.record_lifetime)
        if self._clock() - self._own_last_heard > self._timing.heartbeat + 2 * self._timing.reply_timeout:
            raise TimeoutError("the subscription receives nothing")

    async def _renew_lease(self) -> bool:
        """Extend this node's lease; returns whether it had not expired."""
        milliseconds = int(self._timing.lease * 1000)
        lease = self._keys.lease(self._codec.node)
        return await self._client.execute("SET", lease, 1, "PX", milliseconds, "GET") is not None

    async def _restore(self) -> None:
        """Write everything that Redis has to know about this node."""
        await self._claims.reclaim()
        self._rooms.restore()

    async def _watch_nodes(self) -> None:
        """Drop nodes that have fallen silent, and keep the rooms in Redis from expiring."""
        renewed = 0.0
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            self._clock.tick()
            # Not before the lease has expired on which the node's names depend.
            for node in self._nodes.silent_for(self._timing.lease + 2 * CHECK_INTERVAL):
                self._drop_node(node)
            if self._clock() - renewed > self._timing.record_lifetime / 2:
                renewed = self._clock()
                self._rooms.renew()

    def _drop_node(self, node: str) -> None:
        self._nodes.drop(node)
        self._rooms.drop_node(node)

    def _log_outage(self) -> None:
        self._outage_logged |= self._client.log_rarely(
            logging.WARNING, "Redis is unreachable (%s). The chat continues on this server, but new names are refused.",
            self._client.last_error)
