"""The HTTP server under the page, Socket.IO and `/ws`: Tornado's, with limits and a patient accept loop."""

from collections.abc import Awaitable

from tornado import httpserver
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
)

from webchat.net.accept import PatientAccept

MAX_HEADER = 16 * 1024
"""Bytes of a request's headers."""

MAX_BODY = 256 * 1024
"""Bytes of a request's body; one long-polling POST holds several packets."""

BODY_TIME = 20.0
"""Seconds that a request's body may take to arrive."""

IDLE_TIME = 60.0
"""Seconds that a connection may wait for its next request."""


class HTTPServer(PatientAccept, httpserver.HTTPServer):
    """Who is behind a proxy is `webchat.net.proxies`' business: Tornado's `xheaders` stay off."""

    def initialize(self, application, ssl_options=None) -> None:
        super().initialize(application, ssl_options=ssl_options, max_header_size=MAX_HEADER, max_body_size=MAX_BODY,
                           body_timeout=BODY_TIME, idle_connection_timeout=IDLE_TIME)


class PrefixRouter(HTTPServerConnectionDelegate):
    """Hands requests below `prefix` to `target`, and all others to `router`.

    It spares those below the prefix what Tornado's routing makes of a request before it looks at its path: arguments,
    and a copy of them.
    """

    def __init__(self, prefix: str, target: HTTPServerConnectionDelegate, router: HTTPServerConnectionDelegate):
        self.prefix = prefix
        self.target = target
        self.router = router

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _PrefixDelegate(self, server_conn, request_conn)


class _PrefixDelegate(HTTPMessageDelegate):
    """Waits for the path."""

    def __init__(self, router: PrefixRouter, server_conn: object, request_conn: HTTPConnection):
        self._router = router
        self._connections = server_conn, request_conn
        self._delegate: HTTPMessageDelegate | None = None

    def headers_received(self, start_line: RequestStartLine, headers: HTTPHeaders) -> Awaitable[None] | None:
        router = self._router
        handler = router.target if start_line.path.startswith(router.prefix) else router.router
        self._delegate = handler.start_request(*self._connections)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()
