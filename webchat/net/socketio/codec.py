"""Socket.IO packets (revision 5), without any I/O.

Outgoing packets are encoded once, straight to the WebSocket frames that all their recipients share; for clients on
long-polling they are taken out of the frames again. Incoming packets are parsed strictly: what the protocol does not
allow raises ProtocolViolation, which ends the connection.

Source: the document `socket.io-protocol` v5 in github.com/socketio/socket.io.
"""

import json as stdlib_json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import engineio.json
import msgspec
import socketio.packet
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT

from webchat.net.engineio.payload import engine_frame
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import TOO_BIG, binary_frame, text_frame

__all__ = [
    "ACK", "BINARY_ACK", "BINARY_EVENT", "CONNECT", "CONNECT_ERROR", "DISCONNECT", "EVENT",
    "PacketCodec", "SocketIOPacket",
]

RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})
"""Events that only the server may raise (socket.io-protocol, "Event names")."""

MAX_DEPTH = 100
"""Levels of nesting in a payload: far from the depth at which handlers that walk it would fail."""

# Type, attachments, namespace, acknowledgement id; the bounds keep a head from costing more than it is worth.
_HEAD = re.compile(r"([0-6])(?:([0-9]{1,4})-)?(?:(/[^,]{0,255})(?:,|\Z))?([0-9]{1,16})?")

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)


class SocketIOPacket(NamedTuple):
    """A Socket.IO packet that has been checked; `attachments` is the number of binary ones that must follow."""

    type: int
    namespace: str
    id: int | None
    data: Any
    attachments: int


class PacketCodec:
    """A server's way to encode and decode: JSON by msgspec, unless it was given a serializer or `json` of its own.

    `max_attachments` bounds the binary attachments of one packet from a client; 0 refuses them.
    """

    def __init__(self, packet_class: Any, max_attachments: int):
        self._packet_class = packet_class
        self._max_attachments = max_attachments
        self._is_text = packet_class is socketio.packet.Packet
        json = packet_class.json if self._is_text else engineio.json
        own = json is not engineio.json
        self._loads: Callable[[str], Any] = json.loads if own else _decode_json
        self._dumps: Callable[[Any], bytes] = _dumper(json) if own else _dumps

    def encode(self, kind: int, namespace: str, data: Any = None, id: int | None = None) -> bytes:
        """A packet as WebSocket frames: one, and one for each binary attachment."""
        if not self._is_text:
            return self.packet_frames(self._packet_class(kind, data, namespace, id))
        attachments: list[bytes] = []
        if has_binary(data):
            data = _extract(data, attachments)
            head = f"4{kind + BINARY_EVENT - EVENT}{len(attachments)}-"
        else:
            head = f"4{kind}"
        if namespace != "/":
            head += namespace + ","
        if id is not None:
            head += str(id)
        frame = text_frame(head.encode() + (b"" if data is None else self._dumps(data)))
        return b"".join([frame, *map(binary_frame, attachments)]) if attachments else frame

    @staticmethod
    def packet_frames(packet: Any) -> bytes:
        """The same for a packet object of the serializer."""
        parts = packet.encode()
        if not isinstance(parts, list):
            parts = [parts]
        return b"".join(engine_frame("4" + part if isinstance(part, str) else part) for part in parts)

    def decode(self, data: Any) -> SocketIOPacket:
        """What a client sent, checked. Raises ProtocolViolation."""
        if not self._is_text:
            return self._decode_foreign(data)
        if type(data) is not str:
            raise ProtocolViolation("a binary attachment without its packet")
        if data.startswith("2["):
            return _checked(SocketIOPacket(EVENT, "/", None, self._payload(data, 1), 0))
        head = _HEAD.match(data)
        if head is None:
            raise ProtocolViolation("not a Socket.IO packet")
        kind, attachments, namespace, id = head.groups()
        packet = SocketIOPacket(
            int(kind),
            (namespace or "/").partition("?")[0],
            None if id is None else int(id),
            self._payload(data, head.end()),
            0 if attachments is None else int(attachments),
        )
        if (packet.type in (BINARY_EVENT, BINARY_ACK)) != (attachments is not None):
            raise ProtocolViolation("attachments belong to binary packets")
        if packet.attachments > self._max_attachments:
            raise ProtocolViolation(f"at most {self._max_attachments} binary attachments are accepted", TOO_BIG)
        return _checked(packet)

    def _payload(self, text: str, start: int) -> Any:
        if start == len(text):
            return None
        payload = text[start:]
        try:
            data = self._loads(payload)
        except (ValueError, RecursionError):
            data = self._repaired(payload)
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
            raise ProtocolViolation("JSON nested too deeply")
        return data

    def _repaired(self, payload: str) -> Any:
        """Decode JSON in which half of a surrogate pair stands, as of an emoji that was cut in two: it is U+FFFD here.

        JavaScript sends such strings. Raises ProtocolViolation if something else is wrong.
        """
        repaired = _ESCAPE.sub(lambda escape: "\\ufffd" if len(escape[0]) == 6 else escape[0], payload)
        try:
            return self._loads(repaired)
        except (ValueError, RecursionError):
            raise ProtocolViolation("malformed JSON") from None

    def _decode_foreign(self, data: Any) -> SocketIOPacket:
        try:
            packet = self._packet_class(encoded_packet=data)
        except Exception:
            raise ProtocolViolation("not a packet of this serializer") from None
        if packet.attachment_count:
            raise ProtocolViolation("attachments belong to the default serializer")
        return _checked(SocketIOPacket(packet.packet_type, packet.namespace or "/", packet.id, packet.data, 0))


def fill(data: Any, attachments: list[bytes]) -> Any:
    """`data` with its placeholders replaced by the attachments. Raises ProtocolViolation."""
    if isinstance(data, list):
        return [fill(item, attachments) for item in data]
    if not isinstance(data, dict):
        return data
    if data.get("_placeholder") is not True:
        return {key: fill(value, attachments) for key, value in data.items()}
    number = data.get("num")
    if type(number) is not int or not 0 <= number < len(attachments):
        raise ProtocolViolation("a placeholder without its attachment")
    return attachments[number]


def has_binary(data: Any) -> bool:
    """Whether the data can only travel with binary attachments."""
    pending = [data]
    for item in pending:  # grows while it is walked
        if isinstance(item, (list, tuple)):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, (bytes, bytearray)):
            return True
    return False


def _extract(data: Any, attachments: list[bytes]) -> Any:
    """The inverse of `fill`."""
    if isinstance(data, (bytes, bytearray)):
        attachments.append(bytes(data))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(data, (list, tuple)):
        return [_extract(item, attachments) for item in data]
    if isinstance(data, dict):
        return {key: _extract(value, attachments) for key, value in data.items()}
    return data


def _checked(packet: SocketIOPacket) -> SocketIOPacket:
    kind, _, id, data, _ = packet
    if kind in (EVENT, BINARY_EVENT):
        if type(data) is not list or not data or type(data[0]) is not str:
            raise ProtocolViolation("an event is a list that begins with its name")
        if data[0] in RESERVED:
            raise ProtocolViolation(f"the event {data[0]!r} is the server's own")
    elif kind in (ACK, BINARY_ACK):
        if type(data) is not list or id is None:
            raise ProtocolViolation("an acknowledgement is a list with an id")
    elif kind == CONNECT:
        if id is not None or not (data is None or type(data) is dict):
            raise ProtocolViolation("the payload of CONNECT is an object")
    elif kind != DISCONNECT or id is not None or data is not None:
        raise ProtocolViolation("a packet that clients do not send")
    return packet


def _depth(data: Any) -> int:
    """Levels of nesting, counted without recursion."""
    depth, level = 0, [data]
    while level := [item for item in level if isinstance(item, (list, dict))]:
        depth += 1
        level = [item for node in level for item in (node.values() if isinstance(node, dict) else node)]
    return depth


_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


def _dumps(data: Any) -> bytes:
    try:
        return _encode_json(data)
    except (TypeError, ValueError):  # str subclasses, lone surrogates
        return stdlib_json.dumps(data, separators=(",", ":")).encode()


def _dumper(json: Any) -> Callable[[Any], bytes]:
    return lambda data: json.dumps(data, separators=(",", ":")).encode()
