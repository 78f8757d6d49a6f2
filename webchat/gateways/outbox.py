"""The way out: one write a connection and turn of the event loop, straight to the socket, bounded.

A `SendQueue` belongs to one connection. What is sent to it in one turn of the event loop leaves in one system call at
the end of that turn: by `send` on the bare socket as long as the socket takes all of it. Only when the socket is full
does Tornado's stream come in, as the one that knows when it is writable again: it gets 64 KiB at a time, always whole
chunks, so that a frame that Tornado writes by itself (a pong, a close) can never land inside one of ours.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from webchat.codecs.frames import binary_frame, close_frame, text_frame

__all__ = ["Outbox", "SendQueue", "binary_frame", "close_frame", "text_frame"]

log = logging.getLogger(__name__)

RELAY = 64 * 1024
"""Bytes that a blocked queue hands to its stream at once (more only where a single chunk is larger)."""


class Outbox:
    """The queues of one event loop that have something to write in this turn.

    `limit` (bytes) and `patience` (seconds) say when a reader is too slow. `call_soon` and `call_later` are the running
    event loop's unless given.
    """

    def __init__(
        self,
        call_soon: Callable[..., Any] | None = None,
        limit: int = 1 << 20,
        patience: float = 10.0,
        call_later: Callable[..., Any] | None = None,
    ):
        self.limit = limit
        self.patience = patience
        self.dirty: list[SendQueue] = []
        self._call_soon = call_soon
        self._call_later = call_later

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Any:
        return (self._call_soon or asyncio.get_running_loop().call_soon)(callback, *args)

    def call_later(self, callback: Callable[..., Any]) -> Any:
        """Run `callback` after `patience` seconds; the handle has `cancel()`."""
        return (self._call_later or asyncio.get_running_loop().call_later)(self.patience, callback)

    def flush(self) -> None:
        """Write what was sent in this turn."""
        dirty, self.dirty = self.dirty, []
        for queue in dirty:
            try:
                queue.write()
            except Exception:
                log.exception("a connection is dropped because writing to it failed")
                queue.close()
                queue.stream.close()


class SendQueue:
    """What one connection has yet to be sent. Never blocks, never raises, never grows.

    Each chunk is a whole number of the protocol's frames. `on_overflow(reason)` is called once, soon after more than
    `limit` bytes are pending, or nothing pending has been taken for `patience` seconds; what was not yet begun is then
    dropped, and so is all that comes after. The stream stays open, and stands at the end of a frame: a last word, such
    as a close frame, may be written to it.
    """

    __slots__ = (
        "_backlog", "_drained", "_held", "_on_overflow", "_outbox", "_seen", "_send", "_timer",
        "chunks", "closed", "stream",
    )

    def __init__(self, outbox: Outbox, stream: IOStream, on_overflow: Callable[[str], None]):
        self.stream = stream
        self.closed = False
        self.chunks: list[bytes] = []  # sent in this turn
        self._outbox = outbox
        self._on_overflow = on_overflow
        # With TLS only the stream knows how to write; a `None` takes the way of a full socket.
        self._send = None if isinstance(stream, SSLIOStream) or stream.socket is None else stream.socket.send
        self._backlog: deque[bytes] | None = None  # of earlier turns, while the socket is full
        self._held = 0  # bytes in the backlog
        self._drained: asyncio.Future | None = None
        self._timer: Any = None
        self._seen = 0

    def send(self, data: bytes) -> None:
        """Queue whole frames; they leave at the end of this turn of the event loop."""
        chunks = self.chunks
        if not chunks:
            if self.closed:
                return
            outbox = self._outbox
            if not outbox.dirty:
                outbox.call_soon(outbox.flush)
            outbox.dirty.append(self)
        chunks.append(data)

    @property
    def pending(self) -> int:
        """Bytes that the socket has not taken yet."""
        if self.stream.closed():
            return 0
        return self._held + unwritten(self.stream) + sum(map(len, self.chunks))

    async def drain(self) -> None:
        """Write now, and return when the socket has taken all of it (or the queue is closed).

        For producers that can wait; those who cannot are bounded by the limit.
        """
        self.write()
        while self._backlog is not None:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def flush(self) -> None:
        """Hand everything to the socket or the stream, so that what others write to the stream comes after it."""
        self.write()
        if self._backlog:
            self._to_stream(self._backlog)
            self._backlog.clear()
            self._held = 0

    def close(self) -> None:
        """Drop what is queued, and all that comes."""
        self.closed = True
        self.chunks.clear()
        self._unblock()

    def write(self) -> None:
        """Write this turn's chunks; called by the outbox."""
        chunks = self.chunks
        if not chunks:
            return
        stream = self.stream
        # The last of these is `stream.writing()` without its two calls: this runs once for every listener.
        if (
            self._backlog is not None
            or self._send is None
            or stream._total_write_index != stream._total_write_done_index
        ):
            self._hold(chunks)
            return
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        try:
            taken = self._send(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:  # reset by the peer, or closed on this side: what follows has nowhere to go
            self.close()
            stream.close(exc_info=error)
            return
        if taken == len(data):
            chunks.clear()
        else:
            self._hold(chunks, taken)

    def _hold(self, chunks: list[bytes], taken: int = 0) -> None:
        """Keep what the socket did not take (`taken` bytes of `chunks` it did), and let the stream carry it."""
        blocked = self._backlog is not None
        backlog = self._backlog = self._backlog if blocked else deque()
        backlog.extend(chunks)
        self._held += sum(map(len, chunks)) - taken
        chunks.clear()
        while taken and taken >= len(backlog[0]):
            taken -= len(backlog.popleft())
        if taken:
            backlog[0] = backlog[0][taken:]
        if not blocked:
            self._relay()
        if self._held + unwritten(self.stream) > self._outbox.limit:
            self._overflow(f"more than {self._outbox.limit} bytes are waiting to be read")

    def _relay(self) -> None:
        """Hand the stream the next chunks, until it is full as well; it calls `_resume` when it has room again."""
        while backlog := self._backlog:
            group = [backlog.popleft()]
            size = len(group[0])
            while backlog and size + len(backlog[0]) <= RELAY:
                size += len(backlog[0])
                group.append(backlog.popleft())
            self._held -= size
            future = self._to_stream(group)
            if future is None:
                return
            if not future.done():
                self._wait()
                future.add_done_callback(self._resume)
                return
        self._unblock()

    def _to_stream(self, chunks: Iterable[bytes]) -> asyncio.Future | None:
        try:
            return self.stream.write(b"".join(chunks))
        except StreamClosedError:
            self.close()
            return None

    def _resume(self, future: asyncio.Future) -> None:
        if self.closed:
            return
        if future.cancelled() or future.exception():  # the stream was closed
            self.close()
        else:
            self._relay()

    def _wait(self) -> None:
        """Start the patience anew: the reader has just taken something, or blocked just now."""
        if self._timer is not None:
            self._timer.cancel()
        self._seen = written(self.stream)
        self._timer = self._outbox.call_later(self._expired)

    def _expired(self) -> None:
        if written(self.stream) != self._seen:  # a part of one large chunk
            self._wait()
        else:
            self._overflow(f"nothing was read for {self._outbox.patience:g} seconds")

    def _unblock(self) -> None:
        self._backlog = None
        self._held = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _overflow(self, reason: str) -> None:
        if self.closed:
            return
        self.close()
        # Not called from here: it may well send to others, in the middle of their flush.
        self._outbox.call_soon(self._on_overflow, reason)


# Tornado has no public count of what its stream has written; these two are its own (tests pin them).


def written(stream: IOStream) -> int:
    """Bytes that the socket has taken of what was written to the stream."""
    return stream._total_write_done_index


def unwritten(stream: IOStream) -> int:
    """Bytes that wait in the stream."""
    return stream._total_write_index - stream._total_write_done_index
