"""What the decoders of TCP connections have in common: their interface, and the input that is no message."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")


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
