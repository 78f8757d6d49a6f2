"""Rooms across nodes: a node listens to those that it has members in, and Redis remembers what was said last.

For each room Redis holds two keys, in one slot of a cluster: the history, and who is in the room through which node.
Both go away an hour after the last node stopped refreshing them.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from redis.exceptions import ResponseError

from webchat.backplane import scripts
from webchat.backplane.nodes import Nodes
from webchat.backplane.redis_client import Command, Link, Unreachable
from webchat.chat.events import ChatMessage
from webchat.chat.room import Room
from webchat.codecs.node import InvalidFrame, NodeCodec, NodeItem, Occupants

EMPTY_FOR = 3600
"""Seconds for which an empty room is remembered."""

NAMES_AT_ONCE = 500
"""Shown names in one item: some 100 KiB at the very most."""

NODE_ID = 16
"""Characters of a node's id; a member's field in Redis begins with it."""


class Place:
    """A room that this node listens to. `announced` are its members here, as the others were told."""

    __slots__ = ("announced", "arriving", "heard", "known", "room", "was_known")

    def __init__(self, room: Room):
        self.room = room
        self.announced: frozenset[str] = frozenset()
        self.arriving = 0
        self.known: asyncio.Task | None = None
        self.was_known = False
        self.heard: list[tuple[str, Occupants]] | None = None


class Rooms:
    """What this node knows of rooms, and what it tells of them.

    `post(item, channel)` speaks to those who listen to a room; `lease_of` names the key that a living node has.
    """

    def __init__(self, prefix: str, hub, codec: NodeCodec, link: Link, nodes: Nodes,
                 post: Callable[[NodeItem, str], None], lease_of: Callable[[str], str], counts: Counter[str]):
        self._prefix = prefix
        self._hub = hub
        self._codec = codec
        self._link = link
        self._nodes = nodes
        self._post = post
        self._lease_of = lease_of
        self._counts = counts
        self._places: dict[str, Place] = {}
        self._said: defaultdict[str, list[ChatMessage]] = defaultdict(list)
        self._unsaved: dict[str, Room] = {}

    def channel(self, name: str) -> str:
        return f"{self._prefix}:{{room:{name}}}"

    # What the hub asks for.

    async def enter(self, room: Room) -> None:
        """Before somebody joins: listen, then read what Redis knows. With Redis away, what we know has to do."""
        place = self._places.get(room.name) or self._places.setdefault(room.name, Place(room))
        place.arriving += 1
        try:
            if place.known is None:
                place.known = asyncio.ensure_future(self._know(place))
            await asyncio.shield(place.known)
        finally:
            place.arriving -= 1
            asyncio.get_running_loop().call_soon(self._leave_if_empty, place)  # when the hub has had its turn

    def occupants(self, room: Room) -> None:
        """Tell the others who has come to the room and who has left it through this node."""
        if (place := self._places.get(room.name)) is None:
            return
        now = room.local_names()
        came, left, place.announced = now - place.announced, place.announced - now, now
        if came or left:
            self._tell(place, came, left)
        self._leave_if_empty(place)

    def remember(self, message: ChatMessage) -> None:
        """Keep a message that was said here."""
        if self._link.up:
            self._said[message.room].append(message)
            self._link.wake()
        else:
            self._unsaved[message.room] = self._hub.rooms[message.room]

    # What the other nodes say.

    def hear(self, node: str, item: Occupants) -> None:
        if place := self._places.get(item.room):
            if place.heard is not None:
                place.heard.append((node, item))
            self._apply(place.room, node, item)

    def dropped(self, node: str) -> None:
        """That node is gone, and its people with it."""
        for place in self._places.values():
            place.room.set_elsewhere(node, frozenset())

    # What the link's comings and goings ask for.

    def collect(self) -> Iterator[Command]:
        """What has to be kept in Redis now."""
        said, self._said = self._said, defaultdict(list)
        for name, messages in said.items():
            yield from self._remember(self._hub.rooms[name], messages)

    def lost(self) -> None:
        """What was on its way may not have arrived."""
        self._said.clear()
        self._unsaved |= {name: place.room for name, place in self._places.items()}

    def listen(self) -> list[asyncio.Future]:
        """Subscribe to our rooms, all of them."""
        return [self._link.subscribe(self.channel(name)) for name in self._places]

    def rewrite(self) -> None:
        """Redis may have forgotten everything: tell it, and the others, all that we know."""
        rooms = self._unsaved | {name: place.room for name, place in self._places.items()}
        self._unsaved = {}
        for room in rooms.values():
            for command in self._remember(room, room.history):
                self._link.send(*command)
        for place in self._places.values():
            place.announced = place.room.local_names()
            self._tell(place, place.announced, (), anew=True)

    def refresh(self) -> None:
        """Keep what Redis knows of our rooms from ending."""
        for name in self._places:
            self._link.send("EXPIRE", self._members(name), EMPTY_FOR)
            self._link.send("EXPIRE", self._history(name), EMPTY_FOR)

    async def reread(self) -> None:
        """Learn what was said and who came while we were cut off."""
        for place in list(self._places.values()):
            place.known = asyncio.ensure_future(self._know(place))
        await asyncio.gather(*(place.known for place in self._places.values() if place.known))

    def leave(self) -> None:
        """This node leaves."""
        for place in self._places.values():
            self._tell(place, (), place.announced)

    # How.

    async def _know(self, place: Place) -> None:
        """Bring a room up to date; whoever enters next needs not wait for it again. Nothing happens with Redis away."""
        room = place.room
        try:
            await self._link.subscribe(self.channel(room.name))
            place.heard = []
            if not place.was_known and not room.sessions:
                room.clear_history()
            history, fields = self._link.ask("ZRANGE", self._history(room.name), 0, -1), self._link.ask(
                "HKEYS", self._members(room.name))
            history, members = await history, await self._living(room.name, await fields)
        except (Unreachable, ResponseError):
            place.known = place.heard = None
            return
        self._hub.merge_history(room, self._readable(room.name, history), deliver=place.was_known)
        for node in members.keys() | room.elsewhere.keys():
            room.set_elsewhere(node, frozenset(members.get(node, ())))
        for node, item in place.heard:  # while we waited for what is older
            self._apply(room, node, item)
        place.heard, place.was_known = None, True

    async def _living(self, name: str, fields: list[bytes]) -> dict[str, set[str]]:
        """The members of a room elsewhere, by node; those of dead nodes are struck from Redis."""
        members: defaultdict[str, set[str]] = defaultdict(set)
        for field in fields:
            node, shown = field[:NODE_ID].decode(), field[NODE_ID:].decode()
            if node != self._codec.node:
                members[node].add(shown)
        leases = {node: self._link.ask("EXISTS", self._lease_of(node)) for node in members if node not in self._nodes}
        for node, lease in leases.items():
            if not await lease:
                self._link.send("HDEL", self._members(name), *(node + shown for shown in members.pop(node)))
        return members

    def _readable(self, name: str, kept: Iterable[bytes]) -> list[ChatMessage]:
        messages = []
        for each in kept:
            try:
                messages.append(self._codec.kept(self._history(name), each))
            except InvalidFrame:
                self._counts["junk"] += 1
        return messages

    def _apply(self, room: Room, node: str, item: Occupants) -> None:
        before = frozenset() if item.complete else room.elsewhere.get(node, frozenset())
        room.set_elsewhere(node, (before | set(item.joined)) - set(item.left))

    def _tell(self, place: Place, came: Iterable[str], left: Iterable[str], anew: bool = False) -> None:
        name, node = place.room.name, self._codec.node
        came, left = sorted(came), sorted(left)
        for start in range(0, max(len(came), len(left), 1), NAMES_AT_ONCE):
            some = slice(start, start + NAMES_AT_ONCE)
            if came[some]:
                fields = {node + shown: "" for shown in came[some]}
                self._link.send("HSET", self._members(name), *(part for field in fields.items() for part in field))
            if left[some]:
                self._link.send("HDEL", self._members(name), *(node + shown for shown in left[some]))
            self._post(Occupants(name, tuple(came[some]), tuple(left[some]), anew and not start), self.channel(name))
        self._link.send("EXPIRE", self._members(name), EMPTY_FOR)
        self._link.send("EXPIRE", self._history(name), EMPTY_FOR)

    def _remember(self, room: Room, messages: Iterable[ChatMessage]) -> Iterator[Command]:
        """The script that keeps these messages; many at once go to Redis in one stroke."""
        key = self._history(room.name)
        if kept := [self._codec.keep(key, message) for message in list(messages)[-room.limit:] if room.limit]:
            yield scripts.call(scripts.REMEMBER, key, room.limit, EMPTY_FOR, *kept)

    def _leave_if_empty(self, place: Place) -> None:
        """Nobody of ours is there, nor about to be: what is said there is no business of this node any more."""
        if not place.room.sessions and not place.arriving and self._places.get(place.room.name) is place:
            del self._places[place.room.name]
            place.room.elsewhere.clear()
            self._link.unsubscribe(self.channel(place.room.name))

    def _members(self, name: str) -> str:
        return self.channel(name) + ":members"

    def _history(self, name: str) -> str:
        return self.channel(name) + ":history"
