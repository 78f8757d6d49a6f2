"""What the decoders of TCP connections have in common: their interface, and the input that is no message."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")

REQUEST_LINE_LIMIT = 16 * 1024
"""Bytes of a first line after which it is not taken for HTTP any more; browsers send at most some 8,000."""

_HTTP_LIKE = re.compile(rb"[A-Z]{3,10} \S+ [A-Z]{3,5}/\d(?:\.\d)?\r?\n")
_TLS_HANDSHAKE = b"\x16\x03"


class StreamDecoder(Protocol[ItemT]):
    """Turns the segments of one connection into items (commands, lines …)."""

    @property
    def idle_after(self) -> float | None:
        """Seconds of silence after which `idle` has to be called; None while only more input can complete an item."""

    def receive(self, data: bytes) -> Iterable[ItemT]:
        """Take one segment; return the items that it completes. Raises ProtocolViolation.

        An iterator may be returned that reads the segment as it advances; exhaust it before the next call.
        """

    def idle(self) -> list[ItemT]:
        """Take note that nothing came for `idle_after` seconds; return the items that this completes."""

    def end(self) -> list[ItemT]:
        """Take note that the input has ended; return the items that this completes."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line or a message that exceeds the limit; the rest of it is skipped."""


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """The peer speaks HTTP or TLS, so it is no chat client."""


class ProtocolCheck:
    """Recognises HTTP (RFC 9112 section 3; also RTSP and SIP) and TLS (RFC 8446 section 5.1) by a connection's start.

    Each byte is examined once, however the first line is cut into segments.
    """

    __slots__ = ("_finished", "_first_line")

    def __init__(self) -> None:
        self._first_line = bytearray()
        self._finished = False

    def receive(self, data: bytes) -> bool:
        """Take one segment; return True once, when the connection turns out to be HTTP or TLS."""
        if self._finished:
            return False
        self._first_line += data
        is_complete = b"\n" in data or len(self._first_line) > REQUEST_LINE_LIMIT
        found = self._first_line.startswith(_TLS_HANDSHAKE) or is_complete and bool(_HTTP_LIKE.match(self._first_line))
        if found or is_complete:
            self.finish()
        return found

    def finish(self) -> None:
        """Stop looking, because the connection is known to be a chat client's; forget what has been received."""
        self._finished = True
        self._first_line.clear()


class LineSplitter:
    """Cuts a stream into lines, without their LF or CRLF. Each byte is examined once."""

    __slots__ = ("_unfinished",)

    def __init__(self) -> None:
        self._unfinished = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """Take one segment; return the lines that it completes."""
        complete, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._unfinished += data
            return []
        lines = (bytes(self._unfinished) + complete).split(b"\n")
        self._unfinished = bytearray(rest)
        return [line.removesuffix(b"\r") for line in lines]
