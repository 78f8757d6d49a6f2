"""Hands requests from Tornado to an ASGI application.

    tornado.web.Application([*mount(r"/socket.io/.*", socketio.ASGIApp(sio)), (r"/.*", MyHandler)]).listen(8000)

The bridge sits below Tornado's request handlers, at the `httputil` interface that they use themselves: one object and
one task for each request, and after a WebSocket handshake nothing of HTTP is left in memory.

`http.py` carries requests and responses, `websocket.py` messages. Two limits that Tornado sets: header fields of one
name are kept in order, but grouped at the place of the first; and the server's own `100 Continue` is sent before the
application has answered.
"""

import sys
from collections.abc import Awaitable
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import unquote_to_bytes

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.routing import PathMatches, Rule

from webchat.net.asgi.handshake import is_handshake
from webchat.net.asgi.host import AppHost
from webchat.net.asgi.http import Exchange
from webchat.net.asgi.types import App, Scope
from webchat.net.asgi.websocket import WebSocket
from webchat.net.header_names import HEADER_NAMES, KnownNames

ASGI = {"version": "3.0", "spec_version": "2.4"}

_LOWERED = KnownNames(lambda name: name.lower().encode("latin-1"), HEADER_NAMES)


def mount(pattern: str, app: App, **options: Any) -> list[Rule]:
    """Return the Tornado rules that hand every request whose path matches `pattern` to an ASGI application.

    Options: `outbox` is shared with other parts of the same event loop, or made here. `root_path` is ASGI's. `state` is
    a `Lifespan`'s. Bodies of more than `max_body_size` bytes are answered with 413, WebSocket messages of more than
    `max_message_size` bytes with close code 1009. Every `ping_interval` seconds (None: never) a WebSocket's client is
    pinged, and closed with 1011 if the last ping reached it and nothing came back. A client has `close_timeout` seconds
    to answer a close frame. `timers` replaces the event loop's clock in tests. WebSocket compression is not offered: it
    costs 120 KiB a connection.
    """
    return [Rule(PathMatches(pattern), Mount(app, **options))]


class Mount(HTTPServerConnectionDelegate):
    """An ASGI application as Tornado hands requests to it; the options are those of `mount`."""

    def __init__(self, app: App, **options: Any):
        self._host = AppHost(app, **options)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        assert isinstance(request_conn, HTTP1Connection)
        return _Request(self._host, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Nothing to do: each request is told by itself."""


class _Request(HTTPMessageDelegate):
    """Waits for the header, which says what kind of connection this is."""

    def __init__(self, host: AppHost, connection: HTTP1Connection):
        self._host = host
        self._connection = connection
        self._delegate: Exchange | WebSocket

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        assert isinstance(start_line, RequestStartLine)
        host, connection = self._host, self._connection
        # The limit is enforced here, so that a larger body is answered with 413 instead of Tornado's 400.
        connection.set_max_body_size(sys.maxsize)
        scope = _scope(connection, start_line, headers, host)
        kind = WebSocket if is_handshake(start_line, headers) else Exchange
        self._delegate = kind(host, connection, scope, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.disconnected()


def _scope(connection: HTTP1Connection, start_line: RequestStartLine, headers: HTTPHeaders, host: AppHost) -> Scope:
    raw_path, _, query = start_line.path.encode("latin-1").partition(b"?")
    context: Any = connection.context
    scope: Scope = {
        "type": "http",
        "asgi": ASGI,
        "http_version": start_line.version.removeprefix("HTTP/"),
        "method": start_line.method.upper(),
        "scheme": context.protocol,
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": host.root_path,
        "headers": [(_LOWERED[name], value.encode("latin-1")) for name, value in headers.get_all()],
        "client": _client(context),
        "server": _server(connection.stream.socket, context.address_family),
        "extensions": {},
    }
    if host.state is not None:
        scope["state"] = host.state.copy()
    return scope


def _client(context: Any) -> tuple[str, int] | None:
    """The peer's address; behind a trusted proxy the one that the proxy gives, with port 0 for "unknown"."""
    if context.address_family not in (AF_INET, AF_INET6):
        return None
    host, port, *_ = context.address
    return (host, port) if context.remote_ip == host else (context.remote_ip, 0)


def _server(socket: Any, family: int) -> tuple[str, int | None] | None:
    if socket is None:
        return None
    if family in (AF_INET, AF_INET6):
        host, port, *_ = socket.getsockname()
        return host, port
    return str(socket.getsockname()), None
