"""What this node publishes to the others: queued, and sent in few frames with the next round trip to Redis."""

from collections import Counter
from collections.abc import Iterator

from webchat.backplane.keys import RedisKeys
from webchat.backplane.redis_client import RedisClient, RedisCommand
from webchat.codecs.node import MAX_ITEMS_PER_FRAME, NodeCodec, NodeItem

MAX_QUEUE = 5000
"""Items that may wait for Redis; further ones are dropped. One round trip takes all that wait."""


class Publisher:
    """A queue of items for other nodes. Adding to it never blocks and never raises.

    `counts` gets `published` and `dropped` items. Items are dropped while Redis is unreachable.
    """

    def __init__(self, client: RedisClient, codec: NodeCodec, keys: RedisKeys, counts: Counter[str]):
        self._client = client
        self._codec = codec
        self._keys = keys
        self._counts = counts
        self._frames: list[tuple[str, list[NodeItem]]] = []
        self._size = 0

    def to_everyone(self, item: NodeItem) -> None:
        """Send an item to all nodes."""
        self._enqueue(item, self._keys.everyone)

    def to_node(self, node: str, item: NodeItem) -> None:
        """Send an item to one node."""
        self._enqueue(item, self._keys.node(node))

    def to_room(self, room: str, item: NodeItem) -> None:
        """Send an item to the nodes that have members in a room."""
        self._enqueue(item, self._keys.room(room))

    def take(self) -> Iterator[RedisCommand]:
        """The commands that publish what is queued; the queue is empty afterwards."""
        frames, self._frames, self._size = self._frames, [], 0
        for channel, items in frames:
            self._counts["published"] += len(items)
            for frame in self._codec.encode(channel, items):
                yield "SPUBLISH", channel, frame

    def drop_all(self) -> None:
        """Empty the queue: the connection is lost."""
        self._counts["dropped"] += self._size
        self._frames, self._size = [], 0

    def _enqueue(self, item: NodeItem, channel: str) -> None:
        """Add an item; adjacent items for one channel share a frame."""
        if not self._client.is_connected or self._size >= MAX_QUEUE:
            self._counts["dropped"] += 1
            return
        self._size += 1
        if self._frames and self._frames[-1][0] == channel and len(self._frames[-1][1]) < MAX_ITEMS_PER_FRAME:
            self._frames[-1][1].append(item)
        else:
            self._frames.append((channel, [item]))
        self._client.schedule_round_trip()
