"""Engine.IO packets (revision 4) in WebSocket frames and in long-polling payloads.

Source: the document `engine.io-protocol` v4 in github.com/socketio/socket.io.
"""

import base64
from collections.abc import Iterator

from webchat.net.errors import ProtocolViolation
from webchat.net.frames import TEXT, binary_frame, text_frame


class PacketType:
    """The first character of a text packet."""

    OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"


SEPARATOR = "\x1e"
"""Stands between the packets of one long-polling payload."""


def engine_frame(packet: str | bytes) -> bytes:
    """One encoded Engine.IO packet as the WebSocket frame that carries it."""
    if isinstance(packet, str):
        return text_frame(packet.encode(errors="replace"))
    return binary_frame(bytes(packet))


def engine_packets(frames: bytes) -> Iterator[str | bytes]:
    """The Engine.IO packets in a sequence of our own frames: text as str, binary as bytes."""
    start = 0
    while start < len(frames):
        size = frames[start + 1]
        begin = start + 2
        if size >= 126:
            begin += 2 if size == 126 else 8
            size = int.from_bytes(frames[start + 2 : begin])
        payload = frames[begin : begin + size]
        yield payload.decode() if frames[start] & 0x0F == TEXT else payload
        start = begin + size


def polling_payload(frames: bytes) -> str:
    """What a long-polling client gets for these frames: binary packets in base64."""
    return SEPARATOR.join(
        packet if isinstance(packet, str) else "b" + base64.b64encode(packet).decode()
        for packet in engine_packets(frames)
    )


def polling_packets(body: bytes) -> Iterator[str | bytes]:
    """The Engine.IO packets that a long-polling client posted. Raises ProtocolViolation."""
    try:
        for packet in body.decode().split(SEPARATOR):
            yield base64.b64decode(packet[1:], validate=True) if packet[:1] == "b" else packet
    except ValueError as error:  # of UTF-8, of base64, and of characters that base64 does not know
        raise ProtocolViolation(f"malformed payload: {error}") from None
