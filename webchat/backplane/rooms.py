"""Rooms that span several nodes: a node subscribes to those in which it has members; Redis keeps the last messages.

For each room Redis holds two keys, in one slot of a cluster: the history, and the members with their nodes. Both expire
an hour after the last node has stopped renewing them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from redis.exceptions import ResponseError

from webchat.backplane import scripts
from webchat.backplane.checks import Checks
from webchat.backplane.hub import BackplaneHub
from webchat.backplane.keys import RedisKeys
from webchat.backplane.nodes import Nodes
from webchat.backplane.publisher import Publisher
from webchat.backplane.redis_client import RedisClient, RedisCommand, Unreachable
from webchat.chat.events import ChatMessage
from webchat.chat.hub import room_channel
from webchat.chat.room import Room
from webchat.codecs.node import NAMES_PER_ITEM, InvalidFrame, NodeCodec, Occupants

ROOM_LIFETIME = 3600
"""Seconds for which Redis keeps a room that no node renews."""

NODE_ID_LENGTH = 16
"""Characters of a node's id; the field of a member in Redis begins with it."""


class SubscribedRoom:
    """A room that this node is subscribed to.

    `announced` are its members here, as the other nodes were told. `joins` is how many sessions are joining right now.
    `sync` is the task that reads the room from Redis, None if the room has to be read again; `synced` says that it was
    read before. `buffers` has a list for each task that reads it, of the changes that have arrived meanwhile.
    """

    __slots__ = ("announced", "buffers", "joins", "room", "sync", "synced")

    def __init__(self, room: Room):
        self.room = room
        self.announced: frozenset[str] = frozenset()
        self.joins = 0
        self.sync: asyncio.Task[None] | None = None
        self.synced = False
        self.buffers: list[list[tuple[str, Occupants]]] = []


class SharedRooms:
    """The rooms of this node as the other nodes and Redis know them."""

    def __init__(self, hub: BackplaneHub, client: RedisClient, codec: NodeCodec, keys: RedisKeys, publisher: Publisher,
                 nodes: Nodes, checks: Checks):
        self._hub = hub
        self._client = client
        self._codec = codec
        self._keys = keys
        self._publisher = publisher
        self._nodes = nodes
        self._checks = checks
        self._subscribed: dict[str, SubscribedRoom] = {}
        self._unsent: defaultdict[Room, list[ChatMessage]] = defaultdict(list)
        self._unsaved: set[Room] = set()  # rooms of which Redis may have missed messages
        self._unremoved: dict[tuple[str, str], asyncio.Future[Any]] = {}  # members who left, until Redis confirms it

    # Called for the hub.

    async def enter(self, room: Room) -> None:
        """Subscribe to a room and read it from Redis, before a session joins.

        While Redis is unreachable, the room stays as this node knows it.
        """
        subscribed = self._subscribed.get(room.name) or self._subscribed.setdefault(room.name, SubscribedRoom(room))
        subscribed.joins += 1
        try:
            if subscribed.sync is None:
                subscribed.sync = asyncio.create_task(self._sync(subscribed))
            await asyncio.shield(subscribed.sync)
        finally:
            subscribed.joins -= 1
            # After the hub, which resumes first, has added the session to the room.
            asyncio.get_running_loop().call_soon(self._unsubscribe_if_empty, subscribed)

    def occupants(self, room: Room) -> None:
        """Tell the other nodes who has joined and left the room on this one."""
        if (subscribed := self._subscribed.get(room.name)) is None:
            return
        now, before = room.local_names(), subscribed.announced
        subscribed.announced = now
        if now != before:
            self._announce(room.name, now - before, before - now)
        self._unsubscribe_if_empty(subscribed)

    def remember(self, room: Room, message: ChatMessage) -> None:
        """Add a message of this node to the history in Redis, with the next round trip."""
        if self._client.is_connected:
            self._unsent[room].append(message)
            self._client.schedule_round_trip()
        else:
            self._unsaved.add(room)

    # What other nodes say.

    def receive(self, node: str, item: Occupants) -> None:
        """Apply a change among the members of a room on another node."""
        if subscribed := self._subscribed.get(item.room):
            for buffer in subscribed.buffers:
                buffer.append((node, item))
            self._apply(subscribed.room, node, item)

    def drop_node(self, node: str) -> None:
        """Remove the members of a node that has left or died."""
        for subscribed in self._subscribed.values():
            subscribed.room.set_elsewhere(node, frozenset())

    # Called as the connection to Redis comes and goes.

    def take(self) -> Iterator[RedisCommand]:
        """The commands that save the unsent messages, which are then no longer unsent."""
        unsent, self._unsent = self._unsent, defaultdict(list)
        for room, messages in unsent.items():
            yield from self._save(room, messages)

    def disconnected(self) -> None:
        """Note that messages under way may not have arrived."""
        self._unsent.clear()
        self._unsaved |= {subscribed.room for subscribed in self._subscribed.values()}

    def restore(self) -> None:
        """Write all that this node knows to Redis and to the others, because Redis may have lost it."""
        unsaved, self._unsaved = self._unsaved, set()
        for room in unsaved | {subscribed.room for subscribed in self._subscribed.values()}:
            for command in self._save(room, room.history):
                self._client.send(*command)
        departed: defaultdict[str, list[str]] = defaultdict(list)  # some may have come back; they are added below
        for name, shown in self._unremoved:
            departed[name].append(shown)
        for name, left in departed.items():
            self._announce(name, (), left)
        for name, subscribed in self._subscribed.items():
            subscribed.announced = subscribed.room.local_names()
            self._announce(name, subscribed.announced, (), complete=True)

    def renew(self) -> None:
        """Keep the rooms with members on this node from expiring."""
        for name in self._subscribed:
            self._renew_keys(name)

    async def sync_all(self) -> None:
        """Read all rooms again: what was said, and who joined, while this node was cut off."""
        for subscribed in self._subscribed.values():
            subscribed.sync = asyncio.create_task(self._sync(subscribed))
        await asyncio.gather(*(subscribed.sync for subscribed in self._subscribed.values() if subscribed.sync))

    def leave_all(self) -> None:
        """Tell the other nodes that the members on this one leave."""
        for name, subscribed in self._subscribed.items():
            self._announce(name, (), subscribed.announced)

    # Reading.

    async def _sync(self, subscribed: SubscribedRoom) -> None:
        """Bring a room up to date. While Redis is unreachable nothing happens, and the next join tries again."""
        room, buffer = subscribed.room, list[tuple[str, Occupants]]()
        subscribed.buffers.append(buffer)
        try:
            await self._client.subscribe(self._keys.room(room.name))
            buffer.clear()
            if not subscribed.synced and not room.sessions:
                room.clear_history()
            history_reply = self._client.execute("ZRANGE", self._keys.history(room.name), 0, -1)
            fields_reply = self._client.execute("HKEYS", self._keys.members(room.name))
            history, members = await history_reply, await self._remote_members(room.name, await fields_reply)
        except (Unreachable, ResponseError):
            subscribed.sync = None
            return
        finally:
            subscribed.buffers.remove(buffer)
        self._hub.merge_history(room, self._decode_history(room.name, history), deliver=subscribed.synced)
        for node in members.keys() | room.elsewhere.keys():
            room.set_elsewhere(node, frozenset(members.get(node, ())))
        for node, item in buffer:  # newer than what was read
            self._apply(room, node, item)
        subscribed.synced = True

    async def _remote_members(self, name: str, fields: list[bytes]) -> dict[str, set[str]]:
        """The members of a room on other nodes, by node; those of dead nodes are deleted from Redis."""
        members: defaultdict[str, set[str]] = defaultdict(set)
        for field in fields:
            try:
                node, shown = field[:NODE_ID_LENGTH].decode(), field[NODE_ID_LENGTH:].decode()
            except UnicodeDecodeError as error:
                self._checks.drop(self._keys.members(name), error)
                continue
            if node != self._codec.node:
                members[node].update(self._checks.sound_names(self._keys.members(name), (shown,)))
        leases = {node: self._client.execute("EXISTS", self._keys.lease(node))
                  for node in members if node not in self._nodes}
        for node, lease in leases.items():
            if not await lease:
                self._client.send("HDEL", self._keys.members(name), *(node + shown for shown in members.pop(node)))
        return members

    def _decode_history(self, name: str, entries: Iterable[bytes]) -> list[ChatMessage]:
        key, messages = self._keys.history(name), []
        for entry in entries:
            try:
                message = self._codec.kept(key, entry)
                self._checks.check_message(message, room_channel(name))
                messages.append(message)
            except InvalidFrame as junk:
                self._checks.drop(key, junk)
        return messages

    def _apply(self, room: Room, node: str, item: Occupants) -> None:
        before = frozenset() if item.complete else room.elsewhere.get(node, frozenset())
        room.set_elsewhere(node, (before | set(item.joined)) - set(item.left))

    # Writing.

    def _announce(self, name: str, came: Iterable[str], left: Iterable[str], complete: bool = False) -> None:
        """Tell Redis and the other nodes who came and left; with `complete`, those who came are all there are."""
        came, left = sorted(came), sorted(left)
        for start in range(0, max(len(came), len(left), 1), NAMES_PER_ITEM):
            some_came, some_left = came[start:start + NAMES_PER_ITEM], left[start:start + NAMES_PER_ITEM]
            if some_came:
                fields = (part for shown in some_came for part in (self._codec.node + shown, ""))
                self._client.send("HSET", self._keys.members(name), *fields)
            if some_left:
                self._remove_members(name, some_left)
            self._publisher.to_room(name, Occupants(name, tuple(some_came), tuple(some_left), complete and not start))
        self._renew_keys(name)

    def _remove_members(self, name: str, shown: list[str]) -> None:
        """Delete members from Redis; if it is unreachable, after the next reconnect."""
        def confirmed(reply: asyncio.Future[Any]) -> None:
            if reply.exception() is None:
                for each in shown:
                    if self._unremoved.get((name, each)) is reply:
                        del self._unremoved[name, each]

        reply = self._client.execute("HDEL", self._keys.members(name), *(self._codec.node + each for each in shown))
        self._unremoved |= {(name, each): reply for each in shown}
        reply.add_done_callback(confirmed)

    def _renew_keys(self, name: str) -> None:
        self._client.send("EXPIRE", self._keys.members(name), ROOM_LIFETIME)
        self._client.send("EXPIRE", self._keys.history(name), ROOM_LIFETIME)

    def _save(self, room: Room, messages: Iterable[ChatMessage]) -> Iterator[RedisCommand]:
        """The script that adds these messages to the history in Redis, if the room has a history."""
        key = self._keys.history(room.name)
        if entries := [self._codec.keep(key, message) for message in list(messages)[-room.limit:] if room.limit]:
            yield scripts.call(scripts.REMEMBER, key, room.limit, ROOM_LIFETIME, *entries)

    def _unsubscribe_if_empty(self, subscribed: SubscribedRoom) -> None:
        """Leave a room without members on this node, unless a session is joining it."""
        name = subscribed.room.name
        if not subscribed.room.sessions and not subscribed.joins and self._subscribed.get(name) is subscribed:
            del self._subscribed[name]
            subscribed.room.elsewhere.clear()
            self._client.unsubscribe(self._keys.room(name))
