"""WebSocket framing, the server's side (RFC 6455 section 5), without extensions.

Frames from server to client are not masked, so the same bytes can be sent to every recipient.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from webchat.net.errors import ProtocolViolation

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, NOT_UTF8, POLICY, TOO_BIG, INTERNAL_ERROR = (
    1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1011,
)

MAX_CONTROL = 125
"""Largest payload of a control frame in bytes (section 5.5)."""

_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping; answer it with a pong of the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong, whether or not a ping asked for it."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's last frame. `code` is 1005 if the frame was empty."""

    code: int
    reason: str = ""


Received = str | bytes | Ping | Pong | Close
"""What a client sends: text, binary data, or a control frame."""


def frame(opcode: int, payload: bytes) -> bytes:
    """Return one unmasked, final frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


text_frame = partial(frame, TEXT)
"""Return a payload, which must be UTF-8, as one unmasked, final text frame."""

binary_frame = partial(frame, BINARY)
"""Return a payload as one unmasked, final binary frame."""


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; for 1005, "no status", an empty one. `reason` is cut to 123 bytes of UTF-8."""
    if code == NO_STATUS:
        return frame(CLOSE, b"")
    text = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2) + text)


class FrameReader:
    """Parses the bytes of one client into messages. `max_size` limits a whole message, in bytes."""

    __slots__ = ("_buffer", "_fragments", "closed", "max_size")

    def __init__(self, max_size: int):
        self.max_size = max_size
        self.closed = False  # after a close frame or a violation; later bytes are ignored
        self._buffer = bytearray()  # the beginning of a frame whose end has not arrived
        self._fragments: _Fragments | None = None  # the message whose final frame has not arrived

    def receive(self, data: bytes) -> Iterator[Received]:
        """Yield text messages as str, binary messages as bytes, and control frames.

        Frames are parsed as the iterator advances, so that a caller can pause; exhaust it before the next call.
        Raises ProtocolViolation, with the status to close the connection with, if the client breaks RFC 6455.
        """
        if self.closed:
            return
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        start = 0
        while start < len(buffer) and (found := self._frame(buffer, start)):
            final, opcode, payload, start = found
            if opcode >= CLOSE:
                yield self._control(opcode, payload)
                if self.closed:
                    return
            elif (message := self._message(final, opcode, payload)) is not None:
                yield message
        if buffer is data:
            self._buffer += data[start:]
        else:
            del self._buffer[:start]

    def _frame(self, data: bytes | bytearray, start: int) -> tuple[bool, int, bytes, int] | None:
        """Return the frame at `start` as (final, opcode, payload, end of the frame); None if it is incomplete."""
        if len(data) < start + 2:
            return None
        first, second = data[start], data[start + 1]
        opcode, size = first & 0x0F, second & 0x7F
        self._check_header(first, second)
        mask = start + 2
        if size >= 126:
            mask += 2 if size == 126 else 8
            if len(data) < mask:
                return None
            size = int.from_bytes(data[start + 2 : mask])
            self._check_length(size, mask - start - 2)
        if opcode < CLOSE:
            self._check_size(size)
        begin = mask + 4
        end = begin + size
        if len(data) < end:
            return None
        return first >= 0x80, opcode, _unmask(data[mask:begin], data[begin:end]), end

    def _check_header(self, first: int, second: int) -> None:
        """Check all that the first two bytes of a frame tell."""
        opcode = first & 0x0F
        if first & 0x70:
            self._violation("reserved bits are set")
        if opcode not in OPCODES:
            self._violation("unknown opcode")
        if not second & 0x80:
            self._violation("a client's frames must be masked")
        if opcode >= CLOSE:
            if first < 0x80:
                self._violation("a control frame must not be fragmented")
            if second & 0x7F > MAX_CONTROL:
                self._violation(f"a control frame has at most {MAX_CONTROL} bytes")
        elif (opcode == CONTINUATION) != (self._fragments is not None):
            self._violation("fragments out of order")

    def _check_length(self, size: int, width: int) -> None:
        """Check a length of `width` bytes: the shortest form must be used, and the highest bit be 0 (section 5.2)."""
        if size < 126 or width == 8 and size < 1 << 16:
            self._violation("a length must have its shortest form")
        if size >= 1 << 63:
            self._violation("a length has at most 63 bits")

    def _check_size(self, size: int) -> None:
        """Refuse a message over the limit before its payload has arrived."""
        if self._fragments is not None:
            size += len(self._fragments.data)
        if size > self.max_size:
            self._violation(f"a message has at most {self.max_size} bytes", TOO_BIG)

    def _message(self, final: bool, opcode: int, payload: bytes) -> str | bytes | None:
        """Return the message that this data frame completes, or None if more fragments are to come."""
        if self._fragments is None:
            if final:
                return self._text(payload) if opcode == TEXT else payload
            self._fragments = _Fragments(opcode)
        fragments = self._fragments
        fragments.data += payload
        if not final:
            if fragments.opcode == TEXT:
                self._check_text_so_far(fragments, payload)
            return None
        self._fragments = None
        whole = bytes(fragments.data)
        return self._text(whole) if fragments.opcode == TEXT else whole

    def _control(self, opcode: int, payload: bytes) -> Ping | Pong | Close:
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        close = self._close(payload)
        self._stop()
        return close

    def _close(self, payload: bytes) -> Close:
        if not payload:
            return Close(NO_STATUS)
        code = int.from_bytes(payload[:2])  # of a single byte, which is invalid as well, a code below 256
        if not _may_be_sent(code):
            self._violation("this close code must not be sent")
        return Close(code, self._text(payload[2:]))

    def _text(self, payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            self._violation("text is not UTF-8", NOT_UTF8)

    def _check_text_so_far(self, fragments: "_Fragments", payload: bytes) -> None:
        """Refuse invalid UTF-8 in the fragment that contains it, not only when the message is complete."""
        try:
            fragments.decoder.decode(payload)
        except UnicodeDecodeError:
            self._violation("text is not UTF-8", NOT_UTF8)

    def _violation(self, reason: str, status: int = PROTOCOL_ERROR) -> NoReturn:
        self._stop()
        raise ProtocolViolation(reason, status)

    def _stop(self) -> None:
        """Read nothing more, and release what was buffered."""
        self.closed = True
        self._buffer = bytearray()
        self._fragments = None


class _Fragments:
    """A message of which some frames have arrived, but not the final one."""

    __slots__ = ("data", "decoder", "opcode")

    def __init__(self, opcode: int):
        self.opcode = opcode
        self.data = bytearray()
        self.decoder = _new_utf8_decoder()


def _may_be_sent(code: int) -> bool:
    """Whether a close frame may contain this code (sections 7.4.1 and 7.4.2; 1012 to 1014 are registered at IANA)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _unmask(mask: bytes | bytearray, data: bytes | bytearray) -> bytes:
    """Apply the mask of section 5.3 to the whole payload at once: one big integer is faster than a loop over bytes."""
    size = len(data)
    keys = int.from_bytes((bytes(mask) * (size // 4 + 1))[:size])
    return (int.from_bytes(data) ^ keys).to_bytes(size)
