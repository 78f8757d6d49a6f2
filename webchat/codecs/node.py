"""What webchat's processes tell each other through Redis, and what they keep there for each other.

A frame is one byte of version, 16 of HMAC-SHA-256 over the version, the channel and the body, and the body: the node
that speaks, the frame's number, and what it says, as MessagePack of a fixed schema. Since the channel is signed, a
frame cannot be carried into another channel; since it is numbered, it cannot be played back in its own.
"""

import hmac
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from webchat.chat.events import ChatMessage, Typing

FORMAT_VERSION = b"\x01"

MAC_SIZE = 16
"""Bytes of the signature; half of SHA-256, as RFC 2104 section 5 allows."""

MAX_NODE_FRAME = 256 * 1024
"""Bytes of a frame; a message's 4,096 characters take at most 16 KiB of them."""

MAX_STREAMS = 100_000
"""Pairs of node and channel whose last number is remembered."""

PEOPLE_PER_PART = 500
"""People in one part of a node's state: some 150 KiB at the very most."""

NodeId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Channel = Annotated[str, Meta(max_length=1024)]
Text = Annotated[str, Meta(max_length=40)]
Key = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0)]


class InvalidFrame(Exception):
    """Bytes that no node of this chat sent here, or not in this version; the text says what is wrong with them."""


class HeldName(Struct, frozen=True, array_like=True):
    """A name that somebody has through a node: as written, its key, and whether it is an account's."""

    text: Text
    key: Key
    authenticated: bool


class NodeMessage(Struct, frozen=True, array_like=True, tag="said"):
    """A message, for the people of the receiving node who hear the hub's `channel`."""

    channel: Channel
    message: ChatMessage


class NodeTyping(Struct, frozen=True, array_like=True, tag="hint"):
    """Somebody is typing."""

    channel: Channel
    typing: Typing


class Heartbeat(Struct, frozen=True, array_like=True, tag="beat"):
    """A sign of life: so many differences have I told. A newcomer's, and a returner's, wants an answer."""

    seq: Count
    hello: bool = False


class PresenceChange(Struct, frozen=True, array_like=True, tag="moved"):
    """The `seq`th difference: who came to this node, and the keys of those who left it."""

    seq: Count
    joined: tuple[HeldName, ...]
    left: tuple[Key, ...]


class StateRequest(Struct, frozen=True, array_like=True, tag="ask"):
    """Tell me your state: I missed a difference, or have never heard of you."""


class NodeState(Struct, frozen=True, array_like=True, tag="state"):
    """One of the `parts` of everybody who is here through this node, after `seq` differences."""

    seq: Count
    part: Count
    parts: Annotated[int, Meta(ge=1)]
    people: tuple[HeldName, ...]


class Occupants(Struct, frozen=True, array_like=True, tag="room"):
    """Shown names that entered and left a room through this node; with `anew`, those who entered are all there are."""

    room: Channel
    joined: tuple[Text, ...]
    left: tuple[Text, ...]
    complete: bool = False


class NodeLeft(Struct, frozen=True, array_like=True, tag="bye"):
    """This node has left; nobody is here through it."""


NodeItem = NodeMessage | NodeTyping | Heartbeat | PresenceChange | StateRequest | NodeState | Occupants | NodeLeft


class Frame(Struct, frozen=True, array_like=True):
    """What a node says at once on one channel. `number` grows with every frame of that node."""

    node: NodeId
    number: Count
    items: tuple[NodeItem, ...]


class NodeCodec:
    """One node's half of the conversation: it signs, numbers, checks. `key` is the shared secret, maybe empty."""

    def __init__(self, node: str, key: str = ""):
        self.node = node
        self._key = key.encode()
        self._number = 0
        self._last: dict[tuple[str, str], int] = {}
        self._pack = msgspec.msgpack.Encoder().encode
        self._frame = msgspec.msgpack.Decoder(Frame).decode
        self._message = msgspec.msgpack.Decoder(ChatMessage).decode

    def encode(self, channel: str, items: Sequence[NodeItem]) -> list[bytes]:
        """The frames that say these items on a channel: one, unless they are too large for it."""
        self._number += 1
        frame = self._sign(channel, self._pack(Frame(self.node, self._number, tuple(items))))
        if len(frame) <= MAX_NODE_FRAME:
            return [frame]
        if len(items) == 1:
            raise ValueError("There is an item that no frame can hold.")
        half = len(items) // 2
        return self.encode(channel, items[:half]) + self.encode(channel, items[half:])

    def decode(self, channel: str, data: bytes) -> Frame:
        """A frame that was heard on a channel. Raises InvalidFrame."""
        try:
            frame = self._frame(self._verified(channel, data))
        except msgspec.MsgspecError as error:
            raise InvalidFrame(str(error)) from error
        if frame.node != self.node:
            self._in_order(frame, channel)
        return frame

    def keep(self, place: str, message: ChatMessage) -> bytes:
        """A message as it is kept in a sorted set of Redis: first its id, by which Redis sorts."""
        return message.id.encode() + b" " + self._sign(place, self._pack(message))

    def kept(self, place: str, data: bytes) -> ChatMessage:
        """A message that was kept in `place`. Raises InvalidFrame."""
        id, _, signed = data.partition(b" ")
        try:
            message = self._message(self._verified(place, signed))
        except msgspec.MsgspecError as error:
            raise InvalidFrame(str(error)) from error
        if message.id.encode() != id:
            raise InvalidFrame("A message is kept under another's id.")
        return message

    def _sign(self, place: str, body: bytes) -> bytes:
        return FORMAT_VERSION + self._mac(place, body) + body

    def _verified(self, place: str, data: bytes) -> memoryview:
        if len(data) > MAX_NODE_FRAME:
            raise InvalidFrame("It is too large.")
        if data[:1] != FORMAT_VERSION:
            raise InvalidFrame("It is of another version.")
        body = memoryview(data)[1 + MAC_SIZE:]
        if not hmac.compare_digest(data[1:1 + MAC_SIZE], self._mac(place, body)):
            raise InvalidFrame("It is not signed with our key.")
        return body

    def _mac(self, place: str, body: bytes | memoryview) -> bytes:
        where = place.encode()
        signed = b"%b%d:%b%b" % (FORMAT_VERSION, len(where), where, body)
        return hmac.digest(self._key, signed, "sha256")[:MAC_SIZE]

    def _in_order(self, frame: Frame, channel: str) -> None:
        stream = frame.node, channel
        if frame.number <= self._last.get(stream, 0):
            raise InvalidFrame("It was heard before.")
        self._last.pop(stream, None)
        self._last[stream] = frame.number  # at the end: the first one is the one least heard of
        if len(self._last) > MAX_STREAMS:
            del self._last[next(iter(self._last))]
