"""What webchat's processes ("nodes") send each other through Redis, and what they keep there for each other.

A frame consists of one byte of version, 16 bytes of HMAC-SHA-256, and the body: the sending node, the frame's number,
and its items, as MessagePack of a fixed schema. Signed are the version, the channel's length in decimal digits, a
colon, the channel, and the body. The channel is signed, so a frame cannot be moved to another channel; frames are
numbered, so none can be replayed in its own.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from webchat.chat.events import ChatMessage, Typing

Decoded = TypeVar("Decoded")

FORMAT_VERSION = b"\x01"

MAC_SIZE = 16
"""Bytes of the signature; half of SHA-256, as RFC 2104 section 5 allows."""

MAX_NODE_FRAME = 256 * 1024
"""Bytes of a frame; the 4,096 characters of a message take at most 16 KiB of them."""

MAX_STREAMS = 100_000
"""Pairs of node and channel whose last frame number is remembered."""

MAX_ITEMS_PER_FRAME = 100

NAMES_PER_ITEM = 500
"""Names in one item: at most some 150 KiB."""

MAX_PARTS = 10_000
"""Parts of a node's state: enough for five million people."""

NodeId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Channel = Annotated[str, Meta(max_length=1024)]
Text = Annotated[str, Meta(max_length=40)]
Key = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0)]
Names = Meta(max_length=NAMES_PER_ITEM)


class InvalidFrame(Exception):
    """Bytes that no node of this chat sent here, or not in this version; the text says what is wrong with them."""


class HeldName(Struct, frozen=True, array_like=True):
    """A name that somebody uses through a node: as written, its key, and whether it is an account's."""

    text: Text
    key: Key
    authenticated: bool


class NodeMessage(Struct, frozen=True, array_like=True, tag="said"):
    """A message for the people on the receiving node who listen to the hub's `channel`."""

    channel: Channel
    message: ChatMessage


class NodeTyping(Struct, frozen=True, array_like=True, tag="hint"):
    """Somebody is typing."""

    channel: Channel
    typing: Typing


class Heartbeat(Struct, frozen=True, array_like=True, tag="beat"):
    """The node is alive and has sent `seq` presence changes. With `hello` it asks the others for their heartbeats."""

    seq: Count
    hello: bool = False


class NodePresence(Struct, frozen=True, array_like=True, tag="moved"):
    """The `seq`th presence change: the names that joined through this node, and the keys of those that left."""

    seq: Count
    joined: Annotated[tuple[HeldName, ...], Names]
    left: Annotated[tuple[Key, ...], Names]


class StateRequest(Struct, frozen=True, array_like=True, tag="ask"):
    """A request for the receiver's state, from a node that has missed a change or does not know the receiver."""


class NodeState(Struct, frozen=True, array_like=True, tag="state"):
    """Part `part` of `parts` of the list of everybody who is here through this node, after `seq` presence changes."""

    seq: Count
    part: Count
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)]
    people: Annotated[tuple[HeldName, ...], Names]


class Occupants(Struct, frozen=True, array_like=True, tag="room"):
    """Shown names that entered and left a room through this node; with `complete`, nobody else is in it."""

    room: Channel
    joined: Annotated[tuple[Text, ...], Names]
    left: Annotated[tuple[Text, ...], Names]
    complete: bool = False


class NodeLeft(Struct, frozen=True, array_like=True, tag="bye"):
    """This node has stopped; nobody is here through it."""


NodeItem = NodeMessage | NodeTyping | Heartbeat | NodePresence | StateRequest | NodeState | Occupants | NodeLeft


class Frame(Struct, frozen=True, array_like=True):
    """What a node sends at once to one channel. `number` grows with every frame of that node."""

    node: NodeId
    number: Count
    items: tuple[NodeItem, ...]


class RawFrame(Struct, frozen=True, array_like=True):
    """A Frame whose items are not decoded yet, so that one that breaks the schema does not cost the others."""

    node: NodeId
    number: Count
    items: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=MAX_ITEMS_PER_FRAME)]


class CheckedFrame(NamedTuple):
    """What is sound of a frame, and for each other item what is wrong with it."""

    node: str
    items: tuple[NodeItem, ...]
    junk: tuple[str, ...]


class NodeCodec:
    """Signs, numbers and checks the frames of one node.

    `key` is the shared secret, which may be empty. The last frame numbers of `max_streams` pairs of node and channel
    are remembered.
    """

    def __init__(self, node: str, key: str = "", max_streams: int = MAX_STREAMS):
        self.node = node
        self._key = key.encode()
        self._max_streams = max_streams
        self._number = 0
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._pack = msgspec.msgpack.Encoder().encode
        self._frame = msgspec.msgpack.Decoder(RawFrame).decode
        self._item = msgspec.msgpack.Decoder(NodeItem).decode
        self._message = msgspec.msgpack.Decoder(ChatMessage).decode

    def encode(self, channel: str, items: Sequence[NodeItem]) -> list[bytes]:
        """The frames that carry these items to a channel, in order; one, unless they are too large for it.

        Raises ValueError for an item that is too large for a frame of its own.
        """
        self._number += 1
        frame = self._sign(channel, self._pack(Frame(self.node, self._number, tuple(items))))
        if len(frame) <= MAX_NODE_FRAME:
            return [frame]
        if len(items) == 1:
            raise ValueError("There is an item that no frame can hold.")
        half = len(items) // 2
        return self.encode(channel, items[:half]) + self.encode(channel, items[half:])

    def decode(self, channel: str, data: bytes) -> CheckedFrame:
        """A frame that was received on a channel; items that break the schema are junk in it. Raises InvalidFrame."""
        frame = _decoded(self._frame, self._verified(channel, data))
        if frame.node != self.node:
            self._check_number(frame, channel)
        items: list[NodeItem] = []
        junk: list[str] = []
        for raw in frame.items:
            try:
                items.append(_decoded(self._item, raw))
            except InvalidFrame as error:
                junk.append(str(error))
        return CheckedFrame(frame.node, tuple(items), tuple(junk))

    def keep(self, place: str, message: ChatMessage) -> bytes:
        """A message as it is kept in a sorted set of Redis: first its id, by which Redis sorts."""
        return message.id.encode() + b" " + self._sign(place, self._pack(message))

    def kept(self, place: str, data: bytes) -> ChatMessage:
        """A message that was kept in `place`. Raises InvalidFrame."""
        id, _, signed = data.partition(b" ")
        message = _decoded(self._message, self._verified(place, signed))
        if message.id.encode() != id:
            raise InvalidFrame("The message is kept under the id of another.")
        return message

    def _sign(self, place: str, body: bytes) -> bytes:
        return FORMAT_VERSION + self._mac(place, body) + body

    def _verified(self, place: str, data: bytes) -> bytes:
        if len(data) > MAX_NODE_FRAME:
            raise InvalidFrame("It is too large.")
        if data[:1] != FORMAT_VERSION:
            raise InvalidFrame("It is of another version.")
        body = data[1 + MAC_SIZE:]
        if not hmac.compare_digest(data[1:1 + MAC_SIZE], self._mac(place, body)):
            raise InvalidFrame("It is not signed with our key.")
        return body

    def _mac(self, place: str, body: bytes) -> bytes:
        where = place.encode()
        signed = b"%b%d:%b%b" % (FORMAT_VERSION, len(where), where, body)
        return hmac.digest(self._key, signed, "sha256")[:MAC_SIZE]

    def _check_number(self, frame: RawFrame, channel: str) -> None:
        stream = frame.node, channel
        if frame.number <= self._last.get(stream, 0):
            raise InvalidFrame("It has been received before.")
        self._last[stream] = frame.number
        self._last.move_to_end(stream)
        if len(self._last) > self._max_streams:
            self._last.popitem(last=False)


def _decoded(decode: Callable[[bytes | msgspec.Raw], Decoded], data: bytes | msgspec.Raw) -> Decoded:
    """Decode MessagePack. Raises InvalidFrame, whatever is wrong with it: UTF-8 and too much nesting included."""
    try:
        return decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidFrame(str(error)) from error
