"""One client's HTTP/1 connection: Tornado's, but each request gets an answer, also one that cannot be understood.

Tornado closes the connection without a word, or with a bare status line, when a request is malformed or too large; it
closes the connection of a client that has ended its half after the request; and it knows neither chunk extensions nor
lists in `Connection` (RFC 9112). What reads a request is replaced here; what writes the answer is Tornado's own.
"""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from tornado import httputil
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    format_timestamp,
    parse_request_start_line,
)
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from webchat.net.header_names import SPELLINGS, KnownNames
from webchat.net.hosts import Hosts
from webchat.net.outbox import written
from webchat.net.request_head import CHUNKED, HeadEnd, RequestHead, RequestRefused, check

log = logging.getLogger(__name__)

MAX_READ_HEAD = 64 * 1024
"""Bytes of a request's head that are read, so that one beyond the limit can be answered."""

MAX_CHUNK_HEAD = 4 * 1024
"""Bytes of the line before a chunk, and of a line after the last one."""

LINE_END = rb"(?s)\r\n|(?<=.{%d})." % (MAX_CHUNK_HEAD - 1)

CHUNK_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n")
"""The size of a chunk and its extensions, which mean nothing here (RFC 9112 section 7.1)."""

MAX_TRAILERS = 100
"""Lines after the last chunk; they are read and dropped."""

FAIR_SHARE = 256 * 1024
"""Bytes of one body that are handled before other connections get their turn."""

CHUNK_COST = 1024
"""Bytes as which a chunk counts besides its content."""

LINGER_TIME, LINGER_BYTES = 2.0, 16 << 20
"""Seconds for which, and bytes up to which, the rest of an unwanted body is read and dropped, so that its sender can
read the answer: closing a connection with unread data resets it and loses the answer (RFC 9112 section 9.6)."""

# Tornado's own keeps the names that clients send in a cache.
httputil._normalize_header = KnownNames(  # type: ignore[assignment]
    httputil._normalize_header.__wrapped__, SPELLINGS
).__getitem__


@dataclass(frozen=True, slots=True)
class Rules:
    """What a server asks of every request, and the headers with which it refuses one.

    The head has at most `max_head` bytes, and arrives within `head_time` seconds. A client that takes nothing of its
    answer for `patience` seconds is closed. Without `hosts`, any host will do.
    """

    max_head: int
    head_time: float
    patience: float
    hosts: Hosts | None = None
    refusal_headers: Mapping[str, str] = field(default_factory=dict)


class PersistentConnection(HTTP1ServerConnection):
    """A connection on which one request follows the other.

    A client may end its half of it as soon as its request is complete (RFC 9112 section 9.6), and still gets the
    answer.
    """

    def __init__(self, stream: IOStream, params: HTTP1ConnectionParameters, context: object, rules: Rules):
        super().__init__(stream, params, context)
        self.rules = rules
        self._request: RequestConnection | None = None
        self._own_address: str | None = None

    async def _server_request_loop(self, delegate: HTTPServerConnectionDelegate) -> None:
        """Replaces Tornado's, whose requests are HTTP1Connections."""
        # On the instance, because a WebSocket, which takes over the stream, shall not pay for this with a call.
        self.stream.read_from_fd = self._read_from_socket  # type: ignore[method-assign]
        try:
            keeps_alive = True
            while keeps_alive:
                self._request = RequestConnection(self)
                keeps_alive = await self._request.serve(delegate)
                await asyncio.sleep(0)  # other connections first, if the next request is there already
        except (StreamClosedError, asyncio.CancelledError):
            pass
        except Exception:
            log.exception("A connection is dropped because of a mistake")
            self.stream.close()
        finally:
            self._request = None
            self.release_stream()
            delegate.on_close(self)

    def release_stream(self) -> None:
        """From now on the end of the input closes the stream, as is usual."""
        vars(self.stream).pop("read_from_fd", None)

    @property
    def own_address(self) -> str:
        """The address of this machine at which the client reached it; empty if it is no network address."""
        if self._own_address is None:
            name = self.stream.socket.getsockname()
            self._own_address = name[0] if isinstance(name, tuple) else ""
        return self._own_address

    def _read_from_socket(self, buf: bytearray | memoryview) -> int | None:
        """Stands in for the stream's `read_from_fd`, whose 0 at the end of the input makes the stream close."""
        size = type(self.stream).read_from_fd(self.stream, buf)
        return self._input_ended() if size == 0 else size

    def _input_ended(self) -> int | None:
        stream, request = self.stream, self._request
        if request is None or stream.reading() and not (request.is_partial or stream._read_buffer.strip()):
            return 0  # nobody waits for an answer
        if stream.reading():
            self.fail_read(RequestRefused(400, "The request is incomplete."))
        request.input_ended()
        stream.io_loop.add_callback(self._stop_listening)
        return None

    def fail_read(self, error: RequestRefused) -> None:
        """Let whoever reads from the stream find this, while the stream stays open for the answer."""
        reading, self.stream._read_future = self.stream._read_future, None
        if reading is not None:
            reading.set_exception(error)

    def _stop_listening(self) -> None:
        """Forget the socket's input: what has ended would wake the event loop again and again."""
        stream = self.stream
        if "read_from_fd" in vars(stream) and not stream.closed() and (stream._state or 0) & IOLoop.READ:
            assert stream._state is not None
            stream._state &= ~IOLoop.READ
            stream.io_loop.update_handler(stream.fileno(), stream._state)


class RequestConnection(HTTP1Connection):
    """One request and its answer; handlers see it as Tornado's `HTTP1Connection`."""

    def __init__(self, connection: PersistentConnection):
        super().__init__(connection.stream, False, connection.params, connection.context)
        self._persistent = connection
        self._on_input_end: Callable[[], None] | None = None

    @property
    def is_partial(self) -> bool:
        """Whether the head of the request has been received, but not the whole body."""
        return self._request_start_line is not None and not self._read_finished

    def set_input_end_callback(self, callback: Callable[[], None]) -> None:
        """Call this when the client ends its half of the connection. It may wait for the answer, or be gone."""
        self._on_input_end = callback

    def input_ended(self) -> None:
        """The client has ended its half of the connection."""
        callback, self._on_input_end = self._on_input_end, None
        if callback is not None:
            callback()

    def detach(self) -> IOStream:
        """Hand out the stream, for a WebSocket: it ends when the client ends its half."""
        self._persistent.release_stream()
        return super().detach()

    async def serve(self, server: HTTPServerConnectionDelegate) -> bool:
        """Receive a request, pass it on, and wait until it is answered. Return whether another one may follow.

        Stands in for Tornado's `read_response`. Raises StreamClosedError.
        """
        delegate: HTTPMessageDelegate | None = None
        refused = None
        try:
            head, headers = await self._read_head()
            delegate = server.start_request(self._persistent, self)
            if (ready := delegate.headers_received(head.start_line, headers)) is not None:
                await ready
            if head.body:
                await self._read_message_body(head, headers, delegate)
            self._read_finished = True
            if not self._write_finished:
                delegate.finish()
            delegate = None
            await self._answered()
            return self.stream is not None and not self.stream.closed()
        except RequestRefused as error:
            refused = error.with_traceback(None)  # it leads back here
        except HTTPInputError:
            refused = RequestRefused(400, "The request is malformed.")
        except (StreamClosedError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("A request could not be handled")
            refused = RequestRefused(500, "The server has made a mistake.")
        finally:
            if delegate is not None:
                delegate.on_connection_close()
            self._clear_callbacks()
            self._on_input_end = None
        await self._refuse(refused)
        return False

    async def _read_head(self) -> tuple[RequestHead, HTTPHeaders]:
        """Wait for a request. Raises RequestRefused, HTTPInputError, StreamClosedError."""
        rules = self._persistent.rules
        # Not `asyncio.timeout`: each request passes here, and most connections wait here most of the time.
        timer = asyncio.get_running_loop().call_later(rules.head_time, self._head_overdue)
        reading = self._read_until(HeadEnd(MAX_READ_HEAD))
        try:
            data = await reading
        finally:
            timer.cancel()
            del reading  # it holds the exception, which leads back here
        if len(data) > rules.max_head:
            if b"\n" in data[:rules.max_head]:
                raise RequestRefused(431, f"The headers may have {rules.max_head:,} bytes.")
            raise RequestRefused(414, f"The address and the headers may have {rules.max_head:,} bytes.")
        text, headers = self._parse_headers(data)
        start_line = parse_request_start_line(text)
        self._request_start_line, self._request_headers = start_line, headers
        head = check(start_line, headers)
        self._request_start_line = head.start_line
        if self.stream.closed():  # meanwhile
            raise StreamClosedError
        if rules.hosts is not None and head.host is not None:
            if not rules.hosts.admits(head.host, self._persistent.own_address):
                raise RequestRefused(421, rules.hosts.refusal(head.host))
        self._disconnect_on_finish = self.no_keep_alive or not head.keeps_alive
        return head, headers

    def _read_until(self, end: HeadEnd) -> asyncio.Future[bytes]:
        """Stands in for the stream's `read_until_regex`, whose pattern searches all that has come at each arrival."""
        stream = self.stream
        reading = stream._start_read()
        stream._read_regex, stream._read_max_bytes = end, None  # type: ignore[assignment]
        try:
            stream._try_inline_read()
        except Exception:
            reading.add_done_callback(asyncio.Future.exception)  # it has the same, which nobody else will ask for
            raise
        return reading

    def _head_overdue(self) -> None:
        if not self.stream.reading():
            return  # the head has just arrived
        if self.stream._read_buffer:
            self._persistent.fail_read(RequestRefused(408, "The request took too long."))
        else:
            self.close()  # no request has begun

    async def _read_message_body(self, head: RequestHead, headers: HTTPHeaders, delegate: HTTPMessageDelegate) -> None:
        if head.body > self._max_body_size:
            raise self._too_large()
        if not self._write_finished and headers.get("Expect", "").lower() == "100-continue":
            self.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if head.body == CHUNKED:
            body = self._read_chunked_body(delegate)
        else:
            body = self._read_fixed_body(head.body, delegate)
        try:
            async with asyncio.timeout(self._body_timeout):
                await body
        except TimeoutError:
            raise RequestRefused(408, "The request took too long.") from None

    async def _read_chunked_body(self, delegate: HTTPMessageDelegate) -> None:
        """Replaces Tornado's, which refuses extensions and trailers, and closes over a long line without an answer.

        Small chunks are gathered, so that their number costs handlers nothing, until one has to be waited for.
        """
        gathered = bytearray()
        total = work = 0

        async def read(awaited: Any) -> bytes:
            if gathered and not awaited.done():
                await deliver()
            try:
                data: bytes = await awaited
            finally:
                del awaited  # as above
            return data

        async def deliver() -> None:
            data = bytes(gathered)
            gathered.clear()
            await self._deliver_body(delegate, data)

        while size := _chunk_size(await read(self.stream.read_until_regex(LINE_END))):
            total += size
            if total > self._max_body_size:
                raise self._too_large()
            work += size + CHUNK_COST
            if work > FAIR_SHARE:
                work = 0
                await asyncio.sleep(0)
            while size:
                piece = await read(self.stream.read_bytes(min(size, self.params.chunk_size), partial=True))
                size -= len(piece)
                gathered += piece
                if len(gathered) >= self.params.chunk_size:
                    await deliver()
            if await read(self.stream.read_bytes(2)) != b"\r\n":
                raise RequestRefused(400, "A chunk is longer than its size.")
        if gathered:
            await deliver()
        await self._read_trailers()

    async def _read_trailers(self) -> None:
        """Read and drop what follows the last chunk (RFC 9112 section 7.1.2)."""
        trailers = HTTPHeaders()
        for _ in range(MAX_TRAILERS):
            line = await self.stream.read_until_regex(LINE_END)
            if line == b"\r\n":
                return
            if not line.endswith(b"\r\n"):
                break
            trailers.parse_line(line.decode("latin-1"))
        raise RequestRefused(431, "There are too many trailers.")

    async def _deliver_body(self, delegate: HTTPMessageDelegate, data: bytes) -> None:
        """Replaces Tornado's, which logs what a handler raises, and hides it."""
        if not self._write_finished and (ready := delegate.data_received(data)) is not None:
            await ready

    async def _answered(self) -> None:
        if not self._finish_future.done() and self.stream is not None and not self.stream.closed():
            self.stream.set_close_callback(self._on_connection_close)
            self._watch_reader(-1)
            try:
                await self._finish_future
            finally:
                self._reader_overdue.cancel()

    def _watch_reader(self, before: int) -> None:
        """Close the connection if the client takes nothing of its answer for a while, again and again."""
        if self.stream is not None and self.stream.writing() and written(self.stream) == before:
            self.stream.close()
        else:
            now = -1 if self.stream is None else written(self.stream)
            self._reader_overdue = asyncio.get_running_loop().call_later(
                self._persistent.rules.patience, self._watch_reader, now)

    def _too_large(self) -> RequestRefused:
        return RequestRefused(413, f"The body may have {self._max_body_size:,} bytes.")

    async def _refuse(self, refused: RequestRefused) -> None:
        """Answer, if no answer has begun, and close the connection."""
        self._read_finished = True
        if self._response_start_line is None and self.stream is not None and not self.stream.closed():
            head_only = self._request_start_line is not None and self._request_start_line.method == "HEAD"
            headers = {
                **self._persistent.rules.refusal_headers,
                "Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(refused.body)),
                "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Connection": "close",
                "Date": format_timestamp(time.time()),
            }
            lines = [f"HTTP/1.1 {refused.status} {responses[refused.status]}", *map(": ".join, headers.items()), "", ""]
            answer = "\r\n".join(lines).encode("latin-1") + (b"" if head_only else refused.body)
            with suppress(StreamClosedError, TimeoutError):
                async with asyncio.timeout(LINGER_TIME):
                    await self.stream.write(answer)
                    await self._drop_input()
        self.close()

    async def _drop_input(self) -> None:
        """Read what the client still sends, until it knows that the connection ends here."""
        if self.stream.reading():
            return  # its time was over
        if not isinstance(self.stream, SSLIOStream):
            with suppress(OSError):
                self.stream.socket.shutdown(socket.SHUT_WR)
        dropped = 0
        while dropped < LINGER_BYTES:
            dropped += len(await self.stream.read_bytes(self.params.chunk_size, partial=True))


def _chunk_size(line: bytes) -> int:
    head = CHUNK_HEAD.fullmatch(line)
    if head is None:
        raise RequestRefused(400, "The size of a chunk is malformed.")
    return int(head[1], 16)
