"""The nodes of the chat: which of them are alive, and who is connected to each.

Presence is not stored in Redis. A node numbers the changes among its own people and sends them to everyone; its
heartbeats repeat the last number. A node that has missed a change, or does not know the sender yet, requests the whole
state. This one mechanism serves a node that has just started, a lost message and a restarted Redis.
"""

import asyncio
import math
from collections.abc import Callable, Iterable

from webchat.backplane.hub import BackplaneHub
from webchat.backplane.publisher import Publisher
from webchat.chat.names import Name
from webchat.codecs.node import NAMES_PER_ITEM, Heartbeat, HeldName, NodeItem, NodePresence, NodeState, StateRequest

STATE_RETRY = 1.0
"""Seconds after which a state that has not arrived is requested again."""


class RemoteNode:
    """Another node.

    `seq` is the number of its last change that is applied here, None until its state has arrived; `parts` are the
    parts of a state that is incomplete. `last_heard` and `last_request` are times in seconds.
    """

    __slots__ = ("last_heard", "last_request", "parts", "seq")

    def __init__(self, now: float):
        self.seq: int | None = None
        self.last_heard = now
        self.last_request = -math.inf
        self.parts: dict[int, NodeState] = {}


class Nodes:
    """The other nodes and their people, and the people of this node as the others know them.

    `own_people` are the names that this node holds, by key. `clock` gives seconds, as an AwakeClock does.
    """

    def __init__(self, hub: BackplaneHub, publisher: Publisher, clock: Callable[[], float]):
        self.own_people: dict[str, HeldName] = {}
        self._hub = hub
        self._publisher = publisher
        self._clock = clock
        self._remote: dict[str, RemoteNode] = {}
        self._seq = 0
        self._state_arrived = asyncio.Event()

    def __contains__(self, node: str) -> bool:
        return node in self._remote

    def __len__(self) -> int:
        return len(self._remote)

    # This node.

    def add_person(self, held: HeldName) -> None:
        """Tell the other nodes that a name is held here, or how it is spelled now."""
        self.own_people[held.key] = held
        self._publish_change(came=(held,))

    def remove_person(self, key: str) -> None:
        """Tell the other nodes that a name is no longer held here."""
        del self.own_people[key]
        self._publish_change(left=(key,))

    def heartbeat(self, hello: bool = False) -> Heartbeat:
        """This node's heartbeat; one with `hello` asks the others to answer with theirs."""
        return Heartbeat(self._seq, hello)

    def _publish_change(self, came: tuple[HeldName, ...] = (), left: tuple[str, ...] = ()) -> None:
        self._seq += 1
        self._publisher.to_everyone(NodePresence(self._seq, came, left))

    def _send_state(self, to: str) -> None:
        people = tuple(self.own_people.values())
        parts = [people[start:start + NAMES_PER_ITEM] for start in range(0, len(people), NAMES_PER_ITEM)] or [()]
        for number, part in enumerate(parts):
            self._publisher.to_node(to, NodeState(self._seq, number, len(parts), part))

    # The other nodes.

    def receive(self, node: str, item: NodeItem) -> None:
        """Process what a node sent about itself or its people."""
        remote = self.mark_alive(node)
        match item:
            case Heartbeat(seq, hello):
                if hello:
                    self._publisher.to_node(node, self.heartbeat())
                if seq != remote.seq:
                    self._request_state(node, remote)
            case NodePresence(seq, came, left):
                self._apply_change(node, remote, seq, came, left)
            case StateRequest():
                self._send_state(node)
            case NodeState():
                self._add_part(node, remote, item)

    def mark_alive(self, node: str) -> RemoteNode:
        """Note that something was received from a node; the state of a new node is requested."""
        remote = self._remote.get(node)
        if remote is None:
            remote = self._remote[node] = RemoteNode(self._clock())
            self._request_state(node, remote)
        remote.last_heard = self._clock()
        return remote

    def _request_state(self, node: str, remote: RemoteNode) -> None:
        if self._clock() - remote.last_request >= STATE_RETRY:
            remote.last_request = self._clock()
            self._publisher.to_node(node, StateRequest())

    def _apply_change(self, node: str, remote: RemoteNode, seq: int, came: Iterable[HeldName],
                      left: Iterable[str]) -> None:
        if remote.seq is None or seq > remote.seq + 1:
            self._request_state(node, remote)
        elif seq == remote.seq + 1:
            remote.seq = seq
            self._update_people(node, came, left)

    def _add_part(self, node: str, remote: RemoteNode, state: NodeState) -> None:
        """Keep a part of a state; apply the state when it is complete, unless a newer one is known."""
        if remote.seq is not None and state.seq <= remote.seq:
            return
        remote.parts = {number: part for number, part in remote.parts.items()
                        if (part.seq, part.parts) == (state.seq, state.parts)}
        remote.parts[state.part] = state
        if len(remote.parts) < state.parts:
            return
        people = {held.key: held for part in remote.parts.values() for held in part.people}
        remote.seq, remote.parts, remote.last_request = state.seq, {}, -math.inf
        gone = [person.name.key for person in self._hub.people.on_node(node) if person.name.key not in people]
        self._update_people(node, people.values(), gone)
        self._state_arrived.set()

    def _update_people(self, node: str, came: Iterable[HeldName], left: Iterable[str]) -> None:
        for key in left:
            self._hub.remote_left(node, key)
        for held in came:
            self._hub.remote_joined(node, Name(held.text, held.key), held.authenticated)

    # Nodes that have left or died.

    def silent_for(self, seconds: float) -> list[str]:
        """The nodes from which nothing was received for longer than this."""
        now = self._clock()
        return [node for node, remote in self._remote.items() if now - remote.last_heard > seconds]

    def drop(self, node: str) -> None:
        """Forget a node, and remove the people who were connected to it."""
        if self._remote.pop(node, None):
            for person in self._hub.people.on_node(node):
                self._hub.remote_left(node, person.name.key)

    async def wait_for_states(self, count: int) -> None:
        """Wait until the states of this many nodes are known."""
        while sum(remote.seq is not None for remote in self._remote.values()) < count:
            self._state_arrived.clear()
            await self._state_arrived.wait()
