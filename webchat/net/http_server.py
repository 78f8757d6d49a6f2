"""The HTTP server of the page, Socket.IO and `/ws`: Tornado's, with limits, and accepting through `Acceptor`."""

from collections.abc import Awaitable, Mapping
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

from webchat.net.accept import PatientAccept
from webchat.net.hosts import Hosts
from webchat.net.http_connection import PersistentConnection, Rules

MAX_HEADER = 16 * 1024
"""Most bytes of a request's headers; a browser sends the cookies of every server on this machine to each of them."""

MAX_BODY = 256 * 1024
"""Most bytes of a request's body; one long-polling POST contains several packets."""

BODY_TIME = 20.0
"""Seconds within which a request's body has to arrive."""

IDLE_TIME = 60.0
"""Seconds after which a connection without a request is closed."""


class HTTPServer(PatientAccept, httpserver.HTTPServer):
    """Takes the arguments of Tornado's, except for the limits above, and two more.

    Requests for other hosts than `hosts` are answered with 421 (None: there are no others). `refusal_headers` are sent
    with this and every other answer that the server itself gives. Tornado's `xheaders` stay off:
    `webchat.net.proxies` finds the clients behind proxies.
    """

    def initialize(self, *args: Any, hosts: Hosts | None = None, refusal_headers: Mapping[str, str] | None = None,
                   **options: Any) -> None:
        """Adds the limits. Tornado's servers are set up here, not in `__init__`."""
        limits: dict[str, Any] = {"max_body_size": MAX_BODY, "body_timeout": BODY_TIME}
        self._rules = Rules(MAX_HEADER, IDLE_TIME, hosts, refusal_headers or {})
        super().initialize(*args, **(options | limits))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Replaces Tornado's, whose connections are HTTP1ServerConnections."""
        context = httpserver._HTTPRequestContext(stream, address, self.protocol)
        connection = PersistentConnection(stream, self.conn_params, context, self._rules)
        self._connections.add(connection)
        connection.start_serving(self)


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
        return _PrefixDelegate(self, server_conn, request_conn)


class _PrefixDelegate(HTTPMessageDelegate):
    """Chooses between the two once the path is known, and forwards everything to the chosen one."""

    def __init__(self, router: PrefixRouter, server_conn: object, request_conn: HTTPConnection):
        self._router = router
        self._connections = server_conn, request_conn
        self._delegate = HTTPMessageDelegate()  # does nothing, if the connection is closed before the path is known

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # this is a server
        router = self._router
        handler = router.target if start_line.path.startswith(router.prefix) else router.router
        self._delegate = handler.start_request(*self._connections)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
