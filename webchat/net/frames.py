"""WebSocket framing, the server's half (RFC 6455 section 5), without extensions.

Frames from server to client are not masked, so one frame can be shared by all who get it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from webchat.net.errors import ProtocolViolation

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, NOT_UTF8, POLICY, TOO_BIG, INTERNAL_ERROR = (
    1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1011,
)

MAX_CONTROL = 125
"""Bytes of a control frame's payload (section 5.5)."""


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with a pong of the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's last frame; `code` is 1005 where it gave none."""

    code: int
    reason: str = ""


Received = str | bytes | Ping | Pong | Close
"""What a client sends: text, binary data, or a control frame."""


def frame(opcode: int, payload: bytes) -> bytes:
    """One unmasked, final frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


def text_frame(payload: bytes) -> bytes:
    """`payload`, which is UTF-8, as one unmasked, final text frame."""
    return frame(TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """`payload` as one unmasked, final binary frame."""
    return frame(BINARY, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; 1005 means "no status" and is sent as an empty one. A long `reason` is cut to 123 bytes."""
    if code == NO_STATUS:
        return frame(CLOSE, b"")
    text = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2) + text)


class FrameReader:
    """One client's bytes in, its messages out; `max_size` is in bytes of a whole message."""

    __slots__ = ("_fragments", "_opcode", "_partial", "closed", "max_size")

    def __init__(self, max_size: int):
        self.max_size = max_size
        self.closed = False  # by a close frame or a violation: what follows is ignored
        self._partial = bytearray()  # a frame that has not arrived whole
        self._fragments: bytearray | None = None  # of a message that has not arrived whole
        self._opcode = TEXT  # of that message

    def receive(self, data: bytes) -> Iterator[Received]:
        """Yield text messages as str, binary ones as bytes, and control frames; to be exhausted before the next call.

        Raises ProtocolViolation, with the status to close with, where the client breaks RFC 6455.
        """
        partial = self._partial
        if partial:
            partial += data
            data = partial
        start = 0
        while not self.closed and (found := self._frame(data, start)):
            final, opcode, payload, start = found
            if opcode >= CLOSE:
                yield self._control(opcode, payload)
            elif (message := self._message(final, opcode, payload)) is not None:
                yield message
        if self.closed:
            self._partial = bytearray()
        elif partial:
            del partial[:start]
        else:
            self._partial = bytearray(data[start:])

    def _frame(self, data: bytes | bytearray, start: int) -> tuple[int, int, bytes, int] | None:
        """The frame at `start` as (final, opcode, payload, where the next one starts); None if it is incomplete."""
        if len(data) < start + 2:
            return None
        first, second = data[start], data[start + 1]
        final, opcode, size = first & 0x80, first & 0x0F, second & 0x7F
        mask = start + 2
        if size >= 126:
            mask += 2 if size == 126 else 8
        self._check(first, second, opcode, size)
        if len(data) < mask + 4:
            return None
        if size >= 126:
            size = int.from_bytes(data[start + 2 : mask])
        if opcode < CLOSE and size + len(self._fragments or b"") > self.max_size:
            self._violation(f"a message has at most {self.max_size} bytes", TOO_BIG)
        begin = mask + 4
        end = begin + size
        if len(data) < end:
            return None
        return final, opcode, _unmask(data[mask:begin], data[begin:end]), end

    def _check(self, first: int, second: int, opcode: int, size: int) -> None:
        if first & 0x70:
            self._violation("reserved bits are set")
        if opcode not in OPCODES:
            self._violation("unknown opcode")
        if not second & 0x80:
            self._violation("a client's frames must be masked")
        if opcode >= CLOSE:
            if size > MAX_CONTROL or not first & 0x80:
                self._violation("a control frame must be short and whole")
        elif (opcode == CONTINUATION) != (self._fragments is not None):
            self._violation("fragments out of order")

    def _message(self, final: int, opcode: int, payload: bytes) -> str | bytes | None:
        if opcode != CONTINUATION:
            self._opcode = opcode
        if not final:
            self._fragments = (self._fragments or bytearray()) + payload
            return None
        if self._fragments is not None:
            payload = bytes(self._fragments + payload)
            self._fragments = None
        return self._text(payload) if self._opcode == TEXT else payload

    def _control(self, opcode: int, payload: bytes) -> Ping | Pong | Close:
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        if not payload:
            self.closed = True
            return Close(NO_STATUS)
        code = int.from_bytes(payload[:2])
        if len(payload) == 1 or not _may_be_sent(code):
            self._violation("bad close code")
        close = Close(code, self._text(payload[2:]))
        self.closed = True
        return close

    def _text(self, payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            self._violation("text is not UTF-8", NOT_UTF8)

    def _violation(self, reason: str, status: int = PROTOCOL_ERROR) -> None:
        self.closed = True
        raise ProtocolViolation(reason, status)


def _may_be_sent(code: int) -> bool:
    """Whether a close code may travel (sections 7.4.1 and 7.4.2; 1012 to 1014 are IANA's)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _unmask(mask: bytes, data: bytes) -> bytes:
    """Section 5.3, on the whole payload at once: one big integer beats a loop over bytes."""
    size = len(data)
    key = int.from_bytes(mask)
    if not key or not size:
        return bytes(data)
    keys = int.from_bytes((bytes(mask) * (size // 4 + 1))[:size])
    return (int.from_bytes(data) ^ keys).to_bytes(size)
