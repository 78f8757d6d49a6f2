"""Sending: one write for each connection and turn of the event loop, straight to the socket, bounded.

A `SendQueue` belongs to one connection. Everything that is sent to it in one turn of the event loop leaves in one
system call at the end of that turn: `send` on the bare socket, as long as the socket takes all of it. Tornado's stream
is used only when the socket is full, because it learns when the socket is writable again: it gets 64 KiB at a time, or
what was sent in one turn if that is more, so that a close frame written to the stream never lands inside a chunk.

A broadcast runs through this file twice for each listener, to queue and to write. To touch few cache lines, the first
chunk has a slot of its own, a list is made only for a second one, and the bound `send` of the socket is kept (None
while the stream writes). That was measured as a tenth of a delivery at 5,000 listeners.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

log = logging.getLogger(__name__)

STREAM_CHUNK = 64 * 1024
"""Bytes that a blocked queue hands to its stream at once (more only if a single turn sent more)."""


class Outbox:
    """The queues of one event loop that have something to write in this turn.

    A reader that leaves more than `limit` bytes unread, or takes nothing for `patience` seconds, is too slow.
    `call_soon` and `call_later` are the running event loop's unless given.
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
                log.exception("A connection is dropped because writing to it failed")
                queue.close()
                queue.stream.close()


class SendQueue:
    """The outgoing bytes of one connection. `send` never blocks or raises, and the queue never grows beyond its limit.

    Each chunk is a whole number of the protocol's frames. `on_overflow(reason)` is called once, soon after more than
    the outbox's `limit` bytes are pending, or none of them has been taken for its `patience`; turns of which nothing
    has been written are then dropped, and so is everything that is sent later. The stream stays open, and is at the
    end of a frame: a close frame may be written to it. Before that, nothing else may write to it.
    """

    __slots__ = (
        "_all", "_backlog", "_drained", "_first", "_held", "_on_overflow", "_outbox", "_seen", "_timer", "_write",
        "closed", "stream",
    )

    def __init__(self, outbox: Outbox, stream: IOStream, on_overflow: Callable[[str], None]):
        self.stream = stream
        self.closed = False
        self._first: bytes | None = None  # of what was sent in this turn
        self._all: list[bytes] | None = None  # where that is more than one chunk
        self._write = _bare_write(stream)
        self._outbox = outbox
        self._on_overflow = on_overflow
        self._backlog: deque[bytes] | None = None  # of earlier turns, while the socket is full
        self._held = 0  # bytes in the backlog
        self._drained: asyncio.Future[None] | None = None
        self._timer: Any = None
        self._seen = 0

    def send(self, data: bytes) -> None:
        """Queue whole frames; they leave at the end of this turn of the event loop."""
        if self._first is None:
            if self.closed:
                return
            outbox = self._outbox
            if not outbox.dirty:
                outbox.call_soon(outbox.flush)
            outbox.dirty.append(self)
            self._first = data
        elif self._all is None:
            self._all = [self._first, data]
        else:
            self._all.append(data)

    @property
    def pending(self) -> int:
        """Bytes that the socket has not taken yet."""
        if self.stream.closed():
            return 0
        return self._held + unwritten(self.stream) + sum(map(len, self._all or [self._first or b""]))

    async def drain(self) -> None:
        """Write now, and return when the socket has taken everything, or the queue is closed.

        For producers that can wait; the others are bounded by the limit.
        """
        self.write()
        while self._backlog is not None:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def flush(self) -> None:
        """Hand everything to the socket or the stream, so that what is written to the stream next comes after it."""
        self.write()
        if self._backlog:
            self._to_stream(self._backlog)
            self._backlog.clear()
            self._held = 0

    def close(self) -> None:
        """Drop what is queued, and everything that is sent later."""
        self.closed = True
        self._first = self._all = self._write = None
        self._on_overflow = _ignore  # it leads to the connection, which leads back here
        if self._backlog is not None:
            self._unblock()

    def write(self) -> None:
        """Write this turn's chunks; called by the outbox."""
        data = self._first
        if data is None:
            return
        self._first = None
        if self._all is not None:
            data, self._all = b"".join(self._all), None
        if self._write is None:
            self._hold(data)
            return
        try:
            taken = self._write(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:  # reset by the peer, or closed here
            self.close()
            self.stream.close(exc_info=error)
            return
        if taken != len(data):
            self._hold(data[taken:])

    def _hold(self, data: bytes) -> None:
        """Keep what the socket did not take, and let the stream write it."""
        self._held += len(data)
        if self._backlog is not None:
            self._backlog.append(data)
        else:
            self._backlog = deque([data])
            self._write = None
            self._feed_stream()
        if self._held + unwritten(self.stream) > self._outbox.limit:
            self._overflow(f"more than {self._outbox.limit} bytes are waiting to be read")

    def _feed_stream(self) -> None:
        """Hand the next chunks to the stream until it is full, too; `_resume` is called when it has written them."""
        while self._backlog or unwritten(self.stream):
            group: list[bytes] = []
            size = 0
            while self._backlog and (not group or size + len(self._backlog[0]) <= STREAM_CHUNK):
                group.append(self._backlog.popleft())
                size += len(group[-1])
            self._held -= size
            future = self._to_stream(group)
            if future is None:
                return
            if not future.done():
                self._restart_patience()
                future.add_done_callback(self._resume)
                return
        self._unblock()

    def _to_stream(self, chunks: Iterable[bytes]) -> asyncio.Future[None] | None:
        try:
            return self.stream.write(b"".join(chunks))
        except StreamClosedError:
            self.close()
            return None

    def _resume(self, future: asyncio.Future[None]) -> None:
        if self.closed:
            return
        if future.cancelled() or future.exception():  # the stream was closed
            self.close()
        else:
            self._feed_stream()

    def _restart_patience(self) -> None:
        """Restart the patience: the reader has just taken something, or has just blocked."""
        if self._timer is not None:
            self._timer.cancel()
        self._seen = written(self.stream)
        self._timer = self._outbox.call_later(self._expired)

    def _expired(self) -> None:
        if written(self.stream) != self._seen:  # a part of one large chunk
            self._restart_patience()
        else:
            self._overflow(f"nothing was read for {self._outbox.patience:g} seconds")

    def _unblock(self) -> None:
        self._backlog = None
        self._held = 0
        self._write = None if self.closed else _bare_write(self.stream)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _overflow(self, reason: str) -> None:
        # Not called from here: it may send to others, in the middle of a flush.
        self._outbox.call_soon(self._on_overflow, reason)
        self.close()


def _ignore(reason: str) -> None:
    """The queue is closed."""


def _bare_write(stream: IOStream) -> Callable[[bytes], int] | None:
    """The socket's `send`; None if it is closed, and with TLS, where only the stream can write."""
    return None if isinstance(stream, SSLIOStream) or stream.socket is None else stream.socket.send


# Tornado has no public count of what its stream has written; these two are its own (a test pins them).


def written(stream: IOStream) -> int:
    """Bytes that the socket has taken of what was written to the stream."""
    return stream._total_write_done_index


def unwritten(stream: IOStream) -> int:
    """Bytes that the stream has yet to write."""
    return stream._total_write_index - stream._total_write_done_index
