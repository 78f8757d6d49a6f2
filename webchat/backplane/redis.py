"""The backplane that joins any number of processes to one chat, through Redis 7 or later.

A node subscribes to three kinds of sharded channels: that of everyone, its own, and those of the rooms in which it has
members. A private message goes to the channels of the nodes to which its recipient is connected, which every node knows
from presence: no other node receives it, and a user costs Redis no subscription.
"""

import secrets
from collections import Counter
from typing import Any

from webchat.backplane.address import RedisAddress
from webchat.backplane.contract import Backplane
from webchat.backplane.hub import BackplaneHub
from webchat.backplane.redis_client import RedisClient
from webchat.backplane.redis_node import RedisNode
from webchat.backplane.timing import Timing
from webchat.chat.events import Event
from webchat.chat.names import Name
from webchat.chat.room import Room
from webchat.codecs.node import NodeCodec

COUNTS = ("published", "received", "dropped", "junk", "reconnects", "refused")


class RedisBackplane(Backplane):
    """Joins a hub to those of other processes that use the same Redis.

    `key` is the secret with which nodes sign what they send each other. `node` is this process' id. `counts` since the
    start: items `published`, `received` and `dropped` (not sent, because Redis was unreachable or too slow), `junk`
    (frames that no node of this chat signed, and what was not sound in others), `reconnects`, and commands that Redis
    `refused`.
    """

    def __init__(self, address: RedisAddress, key: str | None = None, *, timing: Timing | None = None):
        self.node = secrets.token_hex(8)
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._timing = timing or Timing()
        self._codec = NodeCodec(self.node, key or "")
        self._client = RedisClient(address, f"webchat-{self.node}", self._timing, self.counts)
        self._redis_node: RedisNode | None = None

    def attach(self, hub: BackplaneHub) -> None:
        self._redis_node = RedisNode(hub, self._client, self._codec, self._timing, self.counts)

    @property
    def _attached(self) -> RedisNode:
        if self._redis_node is None:
            raise RuntimeError("The backplane has no hub yet; call attach() first.")
        return self._redis_node

    async def start(self) -> None:
        await self._attached.start()

    async def stop(self) -> None:
        await self._attached.stop()

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        return await self._attached.claim(name, authenticated, token)

    async def recognises(self, key: str, token: str) -> bool:
        return await self._attached.recognises(key, token)

    def release(self, key: str) -> None:
        self._attached.release(key)

    def publish(self, event: Event, channel: str) -> None:
        self._attached.publish(event, channel)

    async def enter(self, room: Room) -> None:
        await self._attached.enter(room)

    def occupants(self, room: Room) -> None:
        self._attached.occupants(room)

    def health(self) -> dict[str, Any]:
        return self._attached.health()
