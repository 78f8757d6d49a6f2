"""One HTTP request to an ASGI application inside Tornado: its body in, its response out."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial
from http.client import responses

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine, format_timestamp
from tornado.iostream import StreamClosedError

from webchat.net.asgi.host import AppHost
from webchat.net.asgi.types import Disconnected, Message, Scope
from webchat.net.http_connection import LINGER_BYTES, LINGER_TIME, RequestConnection
from webchat.net.outbox import Outbox, written

log = logging.getLogger(__name__)

BODY_BUFFER = 64 * 1024
"""Bytes of a body that are buffered for the application; then the socket is not read until it has taken some."""

HOP_BY_HOP = frozenset({b"connection", b"transfer-encoding"})
"""Response headers that the server sets itself."""

PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")
"""The headers of an error that the server answers itself."""


class Response:
    """An ASGI response. Nothing is written before the application has given the first piece of the body.

    A client that reads nothing for the outbox's `patience` is disconnected.
    """

    def __init__(self, connection: HTTP1Connection, scope: Scope, outbox: Outbox):
        self.started = False  # something has been written
        self.complete = False
        self._connection = connection
        self._outbox = outbox
        self._watched = False
        self._head_only = scope.get("method") == "HEAD"
        self._keeps_alive = scope["http_version"] >= "1.1"
        self._head: Message | None = None
        self._close = False

    async def send(self, event: Message) -> None:
        """Take one `http.response.start` or `.body`; return when the client can take more.

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
        """Answer in place of the application, with the name of the status."""
        self._head = {"status": status, "headers": [*PLAIN_TEXT, *headers]}
        self._write(f"{status} {responses[status]}\n".encode(), more=False)
        self.complete = True

    def finish(self) -> None:
        """Free the connection for the next request, or close it if that is what ends the response."""
        stream = self._connection.stream
        self._connection.finish()
        if self._close and not stream.closed():
            stream.write(b"").add_done_callback(lambda _: stream.close())
        self._watch_progress()

    def break_off(self) -> None:
        """Close the connection in the middle of the response, so that the client sees it is incomplete."""
        self.complete = True
        self._connection.close()

    async def _body(self, data: bytes, more: bool) -> None:
        self._write(bytes(data), more)
        self.complete = not more
        stream = self._connection.stream
        if more and stream.writing():
            self._watch_progress()
            try:
                await stream.write(b"")
            except StreamClosedError:
                raise Disconnected("the client is gone") from None

    def _watch_progress(self) -> None:
        stream = self._connection.stream
        if not self._watched and stream.writing():
            self._watched = True
            self._outbox.call_later(partial(self._check_progress, written(stream)))

    def _check_progress(self, before: int) -> None:
        self._watched = False
        stream = self._connection.stream
        if stream.writing() and written(stream) == before:
            stream.close()
        self._watch_progress()

    def _write(self, data: bytes, more: bool) -> None:
        assert self._head is not None
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
            self._close = True  # in HTTP/1.0 only the end of the connection ends such a body
        if self._close:
            headers["Connection"] = "close"
        start_line = ResponseStartLine("HTTP/1.1", status, responses.get(status, "Unknown"))
        self._connection.write_headers(start_line, headers, b"" if bodiless or self._head_only else data)
        self.started = True

    def _headers(self) -> HTTPHeaders:
        assert self._head is not None
        headers = HTTPHeaders()
        for name, value in self._head.get("headers", ()):
            if name.lower() not in HOP_BY_HOP:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
            elif value.lower() == b"close":
                self._close = True
        if "Date" not in headers:
            headers["Date"] = format_timestamp(time.time())
        return headers


class Exchange:
    """One request and its response. The application calls `receive` and `send`, Tornado the other public methods."""

    def __init__(self, host: AppHost, connection: HTTP1Connection, scope: Scope, headers: HTTPHeaders):
        self._app = host.app
        self._max_size = host.max_body_size
        self._scope = scope
        self._response = Response(connection, scope, host.outbox)
        self._body = bytearray()  # received, and not yet taken by the application
        self._size = 0  # bytes received
        self._whole = False  # all of the body has been received
        self._read = False  # the application has taken all of it
        self._gone = False
        self._input_ended = False
        self._changed: asyncio.Future[None] | None = None
        self._has_space: asyncio.Future[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        connection.set_close_callback(self.disconnected)
        if isinstance(connection, RequestConnection):
            connection.set_input_end_callback(self.input_ended)
        if _declared_size(headers) > self._max_size:
            self._refuse()
            if "Expect" in headers:
                self._release()  # before Tornado asks for the body with a 100
        else:
            self._task = host.start(self._run())

    async def receive(self) -> Message:
        """ASGI's `receive`: the body in pieces, then the end of the request or of the connection."""
        while not (self._gone or self._response.complete):
            if not self._read and (self._body or self._whole):
                body, self._body = bytes(self._body), bytearray()
                self._read = self._whole
                _resolve(self._has_space)
                return {"type": "http.request", "body": body, "more_body": not self._whole}
            if self._input_ended:
                break
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        return {"type": "http.disconnect"}

    async def send(self, event: Message) -> None:
        """ASGI's `send`."""
        if self._gone:
            raise Disconnected("the client is gone")
        await self._response.send(event)
        if self._response.complete:
            self._ended()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body; no more is read before the returned future is done."""
        self._size += len(chunk)
        if self._response.complete:
            if self._size > LINGER_BYTES:
                self._release()
        elif self._size > self._max_size:
            self._refuse()
        else:
            self._body += chunk
            _resolve(self._changed)
            if len(self._body) > BODY_BUFFER:
                self._has_space = asyncio.get_running_loop().create_future()
                return self._has_space
        return None

    def finish(self) -> None:
        """All of the body has been received."""
        self._whole = True
        if self._response.complete:
            self._release()
        else:
            _resolve(self._changed)

    def input_ended(self) -> None:
        """The client sends no more, as one does that has hung up: an application that waits for it need not go on.

        It can still answer, because a client may do this after each request.
        """
        self._input_ended = True
        _resolve(self._changed)

    def disconnected(self) -> None:
        """The client has closed the connection, or it is lost."""
        self._gone = True
        _resolve(self._changed)
        _resolve(self._has_space)
        if self._linger is not None:
            self._linger.cancel()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.send)
        except Disconnected:
            return
        except Exception:
            log.exception("The application failed at %s %s", self._scope["method"], self._scope["path"])
        if not (self._response.complete or self._gone):
            self._abort(500)

    def _refuse(self) -> None:
        """Answer a body that is too large."""
        if self._task is not None:
            self._task.cancel()
        self._abort(413, (b"connection", b"close"))

    def _abort(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        """Answer with an error, or break off a response that has begun."""
        if self._response.started:
            self._response.break_off()
        else:
            self._response.error(status, *headers)
            self._ended()

    def _ended(self) -> None:
        """The response has been written: read and drop the rest of the request for a moment."""
        if self._whole:
            self._release()
        else:
            _resolve(self._has_space)
            self._linger = asyncio.get_running_loop().call_later(LINGER_TIME, self._release)

    def _release(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._gone:
            return
        try:
            self._response.finish()
        except HTTPOutputError as error:  # Tornado has closed the connection, so that the client notices
            log.error("The application's response to %s is too short: %s", self._scope["path"], error)


def _declared_size(headers: HTTPHeaders) -> int:
    """The Content-Length; 0 if it is missing, or malformed, which Tornado refuses by itself."""
    try:
        return int(headers.get("Content-Length", 0))
    except ValueError:
        return 0


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
