"""What a WebSocket client sends, built by hand (RFC 6455 section 5)."""

from itertools import cycle
from operator import xor

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x11\x22\x33\x44"


def masked(opcode, payload=b"", final=True, key=KEY, rsv=0, width=None):
    """One frame of a client. `rsv` sets reserved bits (1 to 7); `width` forces a length of 1, 2 or 8 bytes."""
    size = len(payload)
    if width is None:
        width = 1 if size < 126 else 2 if size < 1 << 16 else 8
    length = bytes([0x80 | size]) if width == 1 else bytes([0xFE if width == 2 else 0xFF]) + size.to_bytes(width)
    data = bytes(map(xor, payload, cycle(key))) if any(key) else payload
    return bytes([(0x80 if final else 0) | rsv << 4 | opcode]) + length + key + data


def fragmented(opcode, pieces, key=KEY):
    """The frames of one message, one for each piece of its payload."""
    last = len(pieces) - 1
    return [masked(CONTINUATION if index else opcode, piece, final=index == last, key=key)
            for index, piece in enumerate(pieces)]
