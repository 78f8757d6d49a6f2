"""The HTTP server of the page, Socket.IO and `/ws`: Tornado's, with limits, and accepting through `PatientAccept`."""

import errno
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tornado import httpserver
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream

from webchat.net.accept import CountedStream, PatientAccept
from webchat.net.addresses import TOO_MANY
from webchat.net.first_bytes import take_head
from webchat.net.hosts import Hosts
from webchat.net.http_connection import PersistentConnection, Rules
from webchat.net.proxies import Proxies
from webchat.net.request_head import RequestRefused
from webchat.net.tls_records import HANDSHAKE, NO_TLS_HERE

MAX_HEADER = 16 * 1024
"""Most bytes of a request's headers; a browser sends the cookies of every server on this machine to each of them."""

MAX_BODY = 256 * 1024
"""Most bytes of a request's body; one long-polling POST contains several packets."""

BODY_TIME = 20.0
"""Seconds within which a request's body has to arrive."""

IDLE_TIME = 60.0
"""Seconds after which a connection without a request is closed."""

READER_TIME = 10.0
"""Seconds after which a client that takes nothing of its answer is closed."""

_REDIRECTABLE = re.compile(
    rb"[A-Z]{3,10} (?P<target>/[!-~]*) HTTP/1\.[01]\r\n(?:[^\r\n]+\r\n)*?"
    rb"host:[ \t]*(?P<host>(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?)[ \t]*\r\n", re.IGNORECASE)
"""A request that can be sent on to HTTPS: nothing of it can break out of a header or lead elsewhere."""


class PlainHTTPStream(CountedStream):
    """A new connection without TLS; a client that begins a TLS handshake is told so at once."""

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        size = super().read_from_fd(buf)
        if size:
            if bytes(buf[:1]) == HANDSHAKE:
                self.socket.send(NO_TLS_HERE)
                raise ConnectionResetError(errno.ECONNRESET, "TLS on a port without it")  # Tornado asks for the number
            # Later reads are spared the look.
            self.__class__ = CountedStream  # type: ignore[assignment]  # mypy knows no object that changes its class
        return size


class HTTPServer(PatientAccept, httpserver.HTTPServer):
    """Takes the arguments of Tornado's, except for the limits above, and two more.

    Requests for other hosts than `hosts` are answered with 421 (None: there are no others). `refusal_headers` are sent
    with this and every other answer that the server itself gives. Tornado's `xheaders` stay off:
    `webchat.net.proxies` finds the clients behind proxies.
    """

    stream = PlainHTTPStream

    def initialize(self, *args: Any, hosts: Hosts | None = None, refusal_headers: Mapping[str, str] | None = None,
                   **options: Any) -> None:
        """Adds the limits. Tornado's servers are set up here, not in `__init__`."""
        limits: dict[str, Any] = {"max_body_size": MAX_BODY, "body_timeout": BODY_TIME}
        self._rules = Rules(MAX_HEADER, IDLE_TIME, READER_TIME, hosts, refusal_headers or {})
        super().initialize(*args, **(options | limits))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Replaces Tornado's, whose connections are HTTP1ServerConnections."""
        context = httpserver._HTTPRequestContext(stream, address, self.protocol)
        connection = PersistentConnection(stream, self.conn_params, context, self._rules)
        self._connections.add(connection)
        connection.start_serving(self)

    def refusal(self, sentence: str) -> bytes:
        return plain_answer(sentence)

    async def answer_without_tls(self, connection: socket.socket) -> bytes:
        """A redirect to HTTPS; a sentence if the request cannot be redirected; nothing if there is none."""
        head = await take_head(connection, self.entrance.times)
        if match := _REDIRECTABLE.match(head):
            url = "https://" + (match["host"] + match["target"]).decode()
            return plain_answer(f"This port expects HTTPS: {url}", "308 Permanent Redirect", f"Location: {url}")
        return plain_answer("This port expects HTTPS.", "400 Bad Request") if head else b""


def plain_answer(sentence: str, status: str = "429 Too Many Requests", *headers: str) -> bytes:
    """A whole answer, to which no request need belong, and after which the connection ends."""
    body = f"{sentence}\n"
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=UTF-8", f"Content-Length: {len(body.encode())}",
             "Cache-Control: no-store", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


class PrefixRouter(HTTPServerConnectionDelegate):
    """Passes requests whose path begins with `prefix` to `target`, and all others to `router`.

    Before Tornado's own routing looks at the path, it parses the arguments of a request and copies them. Requests below
    the prefix are spared that.
    """

    def __init__(self, prefix: str, target: HTTPServerConnectionDelegate, router: HTTPServerConnectionDelegate):
        self.prefix = prefix
        self.target = target
        self.router = router

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        def choose(path: str, headers: HTTPHeaders) -> HTTPMessageDelegate:
            handler = self.target if path.startswith(self.prefix) else self.router
            return handler.start_request(server_conn, request_conn)

        return _Choice(choose)


class ForwardedLimit(HTTPServerConnectionDelegate):
    """Counts connections of trusted proxies under the client for whom they are used, and refuses clients with too many.

    The last request of a connection decides: a WebSocket counts for its client as long as it lasts, a connection that a
    proxy keeps open for the client before.
    """

    def __init__(self, proxies: Proxies, router: HTTPServerConnectionDelegate):
        self.proxies = proxies
        self.router = router

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        def choose(path: str, headers: HTTPHeaders) -> HTTPMessageDelegate:
            forwarded = headers.get_list("X-Forwarded-For")
            client = self.proxies.behind(request_conn.context.remote_ip, forwarded)
            if request_conn.stream.place.move(client):
                return self.router.start_request(server_conn, request_conn)
            raise RequestRefused(429, TOO_MANY)

        return _Choice(choose)


class _Choice(HTTPMessageDelegate):
    """Chooses who gets a request once its headers are known, and forwards everything to them."""

    def __init__(self, choose: Callable[[str, HTTPHeaders], HTTPMessageDelegate]):
        self._choose = choose
        self._delegate = HTTPMessageDelegate()  # does nothing, if the connection is closed before that

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # this is a server
        self._delegate = self._choose(start_line.path, headers)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
