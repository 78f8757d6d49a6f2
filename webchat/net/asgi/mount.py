"""Any ASGI application inside Tornado.

    tornado.web.Application([*mount(r"/socket.io/.*", socketio.ASGIApp(sio)), (r"/.*", MyHandler)]).listen(8000)

The bridge hangs below Tornado's request handlers, at the `httputil` interface that they use themselves: one object a
request, one task for the application, and after a WebSocket handshake nothing of HTTP is left in memory.

Three files: this one mounts, and describes the connection (the scope); `asgi_http` carries requests and responses;
`asgi_websocket` carries messages. Specification: asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format" 2.4, and
"Lifespan Protocol" 2.0. Two limits that Tornado sets: header fields of one name are kept in order, but grouped at the
place of the first; and the server's own `100 Continue` is sent before the application has spoken.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import unquote_to_bytes

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
)
from tornado.routing import PathMatches, Rule

from webchat.net.asgi.http import Exchange
from webchat.net.asgi.websocket import WebSocket, is_handshake
from webchat.net.outbox import Outbox

App = Callable[[dict, Callable[[], Awaitable[dict]], Callable[[dict], Awaitable[None]]], Awaitable[None]]

log = logging.getLogger(__name__)

ASGI = {"version": "3.0", "spec_version": "2.4"}


def mount(pattern: str, app: App, **options: Any) -> list[Rule]:
    """The Tornado rules that hand every request whose path matches `pattern` to an ASGI application.

    The options are those of `Mount`.
    """
    return [Rule(PathMatches(pattern), Mount(app, **options))]


class Mount(HTTPServerConnectionDelegate):
    """An ASGI application, as Tornado hands requests to it.

    `outbox` is shared with other doors of the same event loop, or made here. `state` is a `Lifespan`'s. Bodies of
    more than `max_body_size` bytes are answered with 413, WebSocket messages of more than `max_message_size` with a
    close code of 1009. Each `ping_interval` seconds (None: never) a WebSocket's client is pinged, and closed with 1011
    where the last ping reached it and nothing came back. WebSocket compression is not offered: it costs 120 KiB a
    connection.
    """

    def __init__(
        self,
        app: App,
        *,
        outbox: Outbox | None = None,
        root_path: str = "",
        state: dict[str, Any] | None = None,
        max_body_size: int = 100 << 20,
        max_message_size: int = 10 << 20,
        ping_interval: float | None = None,
    ):
        self.app = app
        self.outbox = outbox or Outbox()
        self.root_path = root_path
        self.state = state
        self.max_body_size = max_body_size
        self.max_message_size = max_message_size
        self.ping_interval = ping_interval
        self._tasks: set[asyncio.Task] = set()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Request(self, request_conn)

    def on_close(self, server_conn: object) -> None:
        pass

    def start(self, coroutine: Coroutine) -> asyncio.Task:
        """Run a request's task, and hold on to it: the event loop does not."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Request(HTTPMessageDelegate):
    """Waits for the header, which says what the rest is."""

    def __init__(self, mount: Mount, connection: HTTPConnection):
        self._mount = mount
        self._connection = connection
        self._delegate: Exchange | WebSocket | None = None

    def headers_received(self, start_line: RequestStartLine, headers: HTTPHeaders) -> None:
        mount, connection = self._mount, self._connection
        # Counted by us, so that too much of it is answered with 413 and not Tornado's 400.
        connection.set_max_body_size(sys.maxsize)
        scope = _scope(connection, start_line, headers, mount)
        kind = WebSocket if is_handshake(start_line, headers) else Exchange
        self._delegate = kind(mount, connection, scope, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.disconnected()


def _scope(connection: HTTPConnection, start_line: RequestStartLine, headers: HTTPHeaders, mount: Mount) -> dict:
    raw_path, _, query = start_line.path.encode("latin-1").partition(b"?")
    context = connection.context
    scope = {
        "type": "http",
        "asgi": ASGI,
        "http_version": start_line.version.removeprefix("HTTP/"),
        "method": start_line.method.upper(),
        "scheme": context.protocol,
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": mount.root_path,
        "headers": [(_lowered(name), value.encode("latin-1")) for name, value in headers.get_all()],
        "client": _client(context),
        "server": _server(connection.stream.socket),
        "extensions": {},
    }
    if mount.state is not None:
        scope["state"] = mount.state.copy()
    return scope


@lru_cache(1000)
def _lowered(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _client(context: Any) -> tuple[str, int] | None:
    """The peer's address; behind a trusted proxy the one that the proxy tells, whose port nobody knows."""
    if context.address_family not in (AF_INET, AF_INET6):
        return None
    host, port, *_ = context.address
    return (host, port) if context.remote_ip == host else (context.remote_ip, 0)


def _server(socket: Any) -> tuple[str, int | None] | None:
    if socket is None:
        return None
    if socket.family in (AF_INET, AF_INET6):
        return socket.getsockname()[:2]
    return (str(socket.getsockname()), None)


class Lifespan:
    """Runs an application's startup and shutdown; `state` is what it leaves for its requests (see `mount`)."""

    def __init__(self, app: App):
        self.state: dict[str, Any] = {}
        self._app = app
        self._requests: asyncio.Queue[dict] = asyncio.Queue()
        self._answers: asyncio.Queue[dict] = asyncio.Queue()
        self._task: asyncio.Task | None = None

    async def start(self) -> None:
        """Returns when the application has started. One that knows no lifespan has.

        Raises RuntimeError where the application says that it failed to.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._step("startup")

    async def stop(self) -> None:
        """Returns when the application has shut down. Raises RuntimeError where it says that it failed to."""
        if self._task is not None and not self._task.done():
            await self._step("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._requests.get, self._answers.put)
        except Exception:
            # The specification's way for an application to say that it knows no lifespan.
            log.debug("the application has no lifespan", exc_info=True)
        self._answers.put_nowait({"type": "lifespan.ended"})

    async def _step(self, name: str) -> None:
        self._requests.put_nowait({"type": f"lifespan.{name}"})
        answer = await self._answers.get()
        if answer["type"] == f"lifespan.{name}.failed":
            raise RuntimeError(answer.get("message") or f"the application's {name} failed")
