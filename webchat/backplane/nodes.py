"""The other nodes: which of them live, and who is in the chat through each.

Presence is not kept in Redis. A node tells its differences to everybody, numbered, and with every beat how many it has
told; who has missed one, or has never heard of that node, asks it for its state. A newcomer, a lost message and a
restarted Redis thus need one and the same thing.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from webchat.chat.names import Name
from webchat.codecs.node import (
    PEOPLE_PER_PART,
    Heartbeat,
    HeldName,
    NodeItem,
    NodeLeft,
    NodePresence,
    NodeState,
    StateRequest,
)

AGAIN = 1.0
"""Seconds after which a state that did not come is asked for again."""


class Peer:
    """Another node. `seq` is the number of its last difference that we know, None before we have its state."""

    __slots__ = ("asked", "heard", "parts", "seq")

    def __init__(self, now: float):
        self.seq: int | None = None
        self.heard = now
        self.asked = float("-inf")
        self.parts: dict[int, NodeState] = {}


class Nodes:
    """What this node knows of the others, and what it tells them of its own people.

    `post(item, to)` sends to one node, or to all of them where `to` is None. `clock` gives seconds of being awake: a
    process that was stopped for a minute has not heard from anybody in that minute, and nobody is dead for it.
    """

    def __init__(self, hub, people: Mapping[str, HeldName], post: Callable[[NodeItem, str | None], None],
                 clock: Callable[[], float], dropped: Callable[[str], None]):
        self._hub = hub
        self._people = people
        self._post = post
        self._clock = clock
        self._dropped = dropped
        self._peers: dict[str, Peer] = {}
        self._seq = 0
        self._news = asyncio.Event()

    def __contains__(self, node: str) -> bool:
        return node in self._peers

    def __len__(self) -> int:
        return len(self._peers)

    # What we tell.

    def moved(self, came: Iterable[HeldName] = (), left: Iterable[str] = ()) -> None:
        """Our own people have changed."""
        self._seq += 1
        self._post(NodePresence(self._seq, tuple(came), tuple(left)), None)

    def beat(self, hello: bool = False) -> Heartbeat:
        return Heartbeat(self._seq, hello)

    def _tell_state(self, to: str) -> None:
        people = list(self._people.values())
        parts = [people[start:start + PEOPLE_PER_PART] for start in range(0, len(people), PEOPLE_PER_PART)] or [[]]
        for part, some in enumerate(parts):
            self._post(NodeState(self._seq, part, len(parts), tuple(some)), to)

    # What we hear.

    def hear(self, node: str, item: NodeItem) -> None:
        """Take in what a node says of itself. Every word of it is a sign of life, too (see `alive`)."""
        if isinstance(item, NodeLeft):
            self.drop(node)
            return
        peer = self.alive(node)
        match item:
            case Heartbeat(seq, hello):
                if hello:
                    self._post(self.beat(), node)
                if seq != peer.seq:
                    self._ask(node, peer)
            case NodePresence(seq, came, left):
                self._move(node, peer, seq, came, left)
            case StateRequest():
                self._tell_state(node)
            case NodeState():
                self._gather(node, peer, item)

    def alive(self, node: str) -> Peer:
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = Peer(self._clock())
            self._ask(node, peer)
        peer.heard = self._clock()
        return peer

    def _move(self, node: str, peer: Peer, seq: int, came: Iterable[HeldName], left: Iterable[str]) -> None:
        if peer.seq is None or seq > peer.seq + 1:
            self._ask(node, peer)
        elif seq == peer.seq + 1:
            peer.seq = seq
            self._apply(node, came, left)

    def _ask(self, node: str, peer: Peer) -> None:
        if self._clock() - peer.asked >= AGAIN:
            peer.asked = self._clock()
            self._post(StateRequest(), node)

    def _gather(self, node: str, peer: Peer, state: NodeState) -> None:
        if peer.seq is not None and state.seq <= peer.seq:
            return
        peer.parts = {n: part for n, part in peer.parts.items() if (part.seq, part.parts) == (state.seq, state.parts)}
        peer.parts[state.part] = state
        if len(peer.parts) < state.parts:
            return
        people = {held.key: held for part in peer.parts.values() for held in part.people}
        peer.seq, peer.parts, peer.asked = state.seq, {}, float("-inf")
        gone = [person.key for person in self._hub.people.on_node(node) if person.key not in people]
        self._apply(node, people.values(), gone)
        self._news.set()

    def _apply(self, node: str, came: Iterable[HeldName], left: Iterable[str]) -> None:
        for key in left:
            self._hub.remote_left(node, key)
        for held in came:
            self._hub.remote_joined(node, Name(held.text, held.key), held.authenticated)

    # Who is gone.

    def drop(self, node: str) -> None:
        """This node has left, or is dead: so has everybody who was here through it alone."""
        if self._peers.pop(node, None):
            for person in self._hub.people.on_node(node):
                self._hub.remote_left(node, person.key)
            self._dropped(node)
            self._news.set()

    def expire(self, lease: float) -> None:
        """Drop those who have given no sign of life for `lease` seconds, by our own clock alone."""
        now = self._clock()
        for node in [node for node, peer in self._peers.items() if now - peer.heard > lease]:
            self.drop(node)

    async def known(self, count: int) -> None:
        """Wait until the state of so many nodes has come."""
        while sum(peer.seq is not None for peer in self._peers.values()) < count:
            self._news.clear()
            await self._news.wait()
