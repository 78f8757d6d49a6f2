"""One HTTP request of an ASGI application inside Tornado: its body in, its response out."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine, format_timestamp, responses
from tornado.iostream import StreamClosedError

from webchat.net.outbox import Outbox, written

if TYPE_CHECKING:
    from webchat.net.asgi import Mount

log = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024
"""Bytes of a body that wait for the application before the socket is read no further."""

LINGER_TIME, LINGER_BYTES = 2.0, 16 << 20
"""How long, and how much, a body that nobody wants is read on, so that its sender can read the answer: a connection
that is closed with unread data is reset, and the answer is lost with it (RFC 9112 section 9.6)."""

FRAMING = frozenset({b"connection", b"transfer-encoding"})
"""Response headers that are the server's own affair."""

TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Disconnected(OSError):
    """The application sends to a client that is gone."""


class Response:
    """An ASGI response on its way out. Nothing is written before the first piece of the body is there.

    A client that takes nothing of it for the outbox's `patience` is dropped.
    """

    def __init__(self, connection: HTTP1Connection, scope: dict, outbox: Outbox):
        self.started = False  # something has been written
        self.complete = False
        self._connection = connection
        self._outbox = outbox
        self._watched = False
        self._head_only = scope.get("method") == "HEAD"
        self._keeps_alive = scope["http_version"] >= "1.1"
        self._head: dict | None = None
        self._close = False

    async def send(self, event: dict) -> None:
        """Take one `http.response.start` or `.body`; returns when the client has room for more.

        Raises Disconnected if the client is gone, RuntimeError if the event is out of order.
        """
        if self._connection.stream.closed():
            raise Disconnected("the client is gone")
        starts = event["type"].endswith(".start")
        if self.complete or starts != (self._head is None):
            raise RuntimeError(f"{event['type']} out of order")
        if starts:
            self._head = event
        else:
            await self._body(event.get("body", b""), event.get("more_body", False))

    def error(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        """Answer in the application's place, with the name of the error."""
        self._head = {"status": status, "headers": [TEXT, *headers]}
        self._write(f"{status} {responses[status]}\n".encode(), more=False)
        self.complete = True

    def finish(self) -> None:
        """Leave the connection to the next request, or close it where that is how the response ends."""
        stream = self._connection.stream
        self._connection.finish()
        if self._close and not stream.closed():
            stream.write(b"").add_done_callback(lambda _: stream.close())
        self._watch()

    def break_off(self) -> None:
        """Close the connection in the middle of the response, so that nobody takes it for whole."""
        self.complete = True
        self._connection.close()

    async def _body(self, data: bytes, more: bool) -> None:
        self._write(bytes(data), more)
        self.complete = not more
        stream = self._connection.stream
        if more and stream.writing():
            self._watch()
            try:
                await stream.write(b"")
            except StreamClosedError:
                raise Disconnected("the client is gone") from None

    def _watch(self) -> None:
        stream = self._connection.stream
        if not self._watched and stream.writing():
            self._watched = True
            self._outbox.call_later(partial(self._look, written(stream)))

    def _look(self, before: int) -> None:
        self._watched = False
        stream = self._connection.stream
        if stream.writing() and written(stream) == before:
            stream.close()
        self._watch()

    def _write(self, data: bytes, more: bool) -> None:
        status = self._head["status"]
        bodiless = status in (204, 304)
        if self.started:
            if data and not (bodiless or self._head_only):
                self._connection.write(data)
            return
        headers = self._headers()
        if not more and not bodiless and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(data))
        if not self._keeps_alive and "Content-Length" not in headers:
            self._close = True  # HTTP/1.0 knows the end of such a body by the end of the connection alone
        if self._close:
            headers["Connection"] = "close"
        start_line = ResponseStartLine("HTTP/1.1", status, responses.get(status, "Unknown"))
        self._connection.write_headers(start_line, headers, b"" if bodiless or self._head_only else data)
        self.started = True

    def _headers(self) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name, value in self._head.get("headers", ()):
            if name.lower() not in FRAMING:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
            elif value.lower() == b"close":
                self._close = True
        if "Date" not in headers:
            headers["Date"] = format_timestamp(time.time())
        return headers


class Exchange:
    """One request and its response. Tornado calls the methods without an underscore but for `receive` and `send`."""

    def __init__(self, mount: "Mount", connection: HTTP1Connection, scope: dict, headers: HTTPHeaders):
        self._app = mount.app
        self._max_size = mount.max_body_size
        self._scope = scope
        self._response = Response(connection, scope, mount.outbox)
        self._body = bytearray()  # arrived, and not yet asked for
        self._size = 0  # bytes arrived
        self._whole = False  # all of the body has arrived
        self._read = False  # all of the body has been asked for
        self._gone = False
        self._news: asyncio.Future | None = None
        self._room: asyncio.Future | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._task: asyncio.Task | None = None
        connection.set_close_callback(self.disconnected)
        if _declared_size(headers) > self._max_size:
            self._refuse()
            if "Expect" in headers:
                self._hang_up()  # before Tornado asks for the body with a 100
        else:
            self._task = mount.start(self._run())

    async def receive(self) -> dict:
        """ASGI's `receive`: the body as it comes, then the end of the request or of the connection."""
        while not (self._gone or self._response.complete):
            if not self._read and (self._body or self._whole):
                body, self._body = bytes(self._body), bytearray()
                self._read = self._whole
                _resolve(self._room)
                return {"type": "http.request", "body": body, "more_body": not self._whole}
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return {"type": "http.disconnect"}

    async def send(self, event: dict) -> None:
        """ASGI's `send`."""
        if self._gone:
            raise Disconnected("the client is gone")
        await self._response.send(event)
        if self._response.complete:
            self._end()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body; the connection is read no further before what this returns is done."""
        self._size += len(chunk)
        if self._response.complete:
            if self._size > LINGER_BYTES:
                self._hang_up()
        elif self._size > self._max_size:
            self._refuse()
        else:
            self._body += chunk
            _resolve(self._news)
            if len(self._body) > HIGH_WATER:
                self._room = asyncio.get_running_loop().create_future()
                return self._room
        return None

    def finish(self) -> None:
        """The body has arrived."""
        self._whole = True
        if self._response.complete:
            self._hang_up()
        else:
            _resolve(self._news)

    def disconnected(self) -> None:
        """The client has closed the connection, or lost it."""
        self._gone = True
        _resolve(self._news)
        _resolve(self._room)
        if self._linger is not None:
            self._linger.cancel()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.send)
        except Disconnected:
            return
        except Exception:
            log.exception("the application failed at %s %s", self._scope["method"], self._scope["path"])
        if not (self._response.complete or self._gone):
            self._abort(500)

    def _refuse(self) -> None:
        """The body is too large."""
        if self._task is not None:
            self._task.cancel()
        self._abort(413)

    def _abort(self, status: int) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._response.started:
            self._response.break_off()
        else:
            self._response.error(status)
            self._end()

    def _end(self) -> None:
        """The response is written. What still comes of the request is read and dropped for a while."""
        if self._whole:
            self._hang_up()
        else:
            _resolve(self._room)
            self._linger = asyncio.get_running_loop().call_later(LINGER_TIME, self._hang_up)

    def _hang_up(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._gone:
            return
        try:
            self._response.finish()
        except HTTPOutputError as error:  # Tornado has closed the connection: the client must not take it for whole
            log.error("the application's response to %s is too short: %s", self._scope["path"], error)


def _declared_size(headers: HTTPHeaders) -> int:
    """The Content-Length; 0 where there is none, or one that Tornado is about to refuse."""
    try:
        return int(headers.get("Content-Length", 0))
    except ValueError:
        return 0


def _resolve(future: asyncio.Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
