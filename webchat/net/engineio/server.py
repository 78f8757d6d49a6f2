"""The Engine.IO server.

`AsyncServer` is python-engineio's, with the handling of requests and sessions replaced; it is served by
`engineio.ASGIApp` under `webchat.net.asgi.mount`. Specification: `engine.io-protocol` v4, and the reference server
where that is silent. docs/decisions/0001-engineio-and-socketio.md says what is replaced, and why.
"""

import asyncio
import gzip
import json
import os
import zlib
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

import engineio
import msgspec
from engineio import packet

from webchat.net.addresses import TOO_MANY, Place
from webchat.net.asgi import Receive, Scope, Send, WebSocket, websocket_of
from webchat.net.engineio.http import JSON, PLAIN, EngineRequest, Headers, Query, RequestError
from webchat.net.engineio.payload import PacketType, engine_frame, polling_payload
from webchat.net.engineio.polling import PollingTransport
from webchat.net.engineio.session import REASON, EngineSession
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import PROTOCOL_ERROR, text_frame
from webchat.net.timers import Timers

LAST_FRAMES_TIME = 10.0
"""Seconds for which the last frames for a polling client are kept for its next request."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


class AsyncServer(engineio.AsyncServer):
    """python-engineio's server for ASGI; takes its arguments and four more.

    `admit` gives each new session of a polling client a place among those of its address, or None, which refuses it. A
    WebSocket needs no more than the place that its connection has.
    `max_queue` (bytes) bounds what waits for one long-polling client; a client that tries a WebSocket has
    `upgrade_timeout` seconds to complete that. `timers` replaces the event loop's clock in tests.
    """

    def __init__(
        self,
        async_mode: str | None = None,
        *args: Any,
        upgrade_timeout: float = 10.0,
        max_queue: int = 1 << 20,
        timers: Timers | None = None,
        admit: Callable[[dict[str, Any]], Place | None] | None = None,
        **kwargs: Any,
    ):
        # Replaces the choice of the first framework that happens to be installed.
        if async_mode not in (None, "asgi"):
            raise ValueError(f"this server speaks ASGI, not {async_mode!r}")
        super().__init__("asgi", *args, **kwargs)
        self.upgrade_timeout = upgrade_timeout
        self.max_queue = max_queue
        self.start_service_task = False  # sessions keep their own time
        self.admit = admit
        self.sockets: dict[str, EngineSession] = {}
        self._timers = timers
        self._last_frames: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # Requests.

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application. Replaces upstream's, which accepts what the protocol does not allow."""
        request = EngineRequest(scope, receive, send)
        if request.is_websocket:
            await receive()
        try:
            self._check_origin(request.environ)
            await self._dispatch(request, request.query(self.transports))
        except RequestError as error:
            await self._respond(request, error.body, error.status, JSON)
        except OSError:
            pass  # the client is gone: nobody would read an answer

    async def _dispatch(self, request: EngineRequest, query: Query) -> None:
        if query.method == "OPTIONS":
            await self._respond(request, b"ok")
        elif query.sid is None:
            await (self._open_websocket if request.is_websocket else self._open_polling)(request)
        elif query.sid in self._last_frames and query.method == "GET" and not request.is_websocket:
            await self._respond(request, self._last_frames.pop(query.sid).encode())
        elif (session := self.sockets.get(query.sid)) is None or session.closing or not session.connected:
            raise RequestError("Session ID unknown", 1)
        elif request.is_websocket:
            await self._upgrade(request, session)
        else:
            await (self._post if query.method == "POST" else self._get)(request, session)

    async def _open_polling(self, request: EngineRequest) -> None:
        session = await self._open(request)
        assert isinstance(session.transport, PollingTransport)
        try:
            await self._respond(request, polling_payload(session.transport.take()).encode(),
                                headers=[*PLAIN, *self._cookie(session)])
        except OSError:
            await session.close(reason=REASON.TRANSPORT_CLOSE)

    async def _open_websocket(self, request: EngineRequest) -> None:
        session = await self._open(request)
        try:
            websocket = await self._accept(request)
        except OSError:
            await session.close(reason=REASON.TRANSPORT_CLOSE)
        else:
            session.move_to(websocket)

    async def _open(self, request: EngineRequest) -> EngineSession:
        """Return a new session that the application has accepted, its handshake queued. Raises RequestError."""
        session = EngineSession(self, self.generate_id())
        if self.admit is not None and not request.is_websocket:
            session.place = self.admit(request.environ)
            if session.place is None:
                raise RequestError(TOO_MANY, 4, 429)
        self.sockets[session.sid] = session
        handshake = msgspec.json.encode(self._handshake(session, request))
        session.send_frame(text_frame(PacketType.OPEN.encode() + handshake))
        verdict: Any = False
        try:
            verdict = await self._call("connect", session.sid, request.environ)
        finally:
            if verdict is not None and verdict is not True:
                session.closing = True
                self._forget(session)
        if session.closing:
            raise RequestError(str(verdict or "Unauthorized"), 4, 401)
        session.connected = True
        session.schedule_ping()
        return session

    def _handshake(self, session: EngineSession, request: EngineRequest) -> dict[str, Any]:
        may_upgrade = self.allow_upgrades and not request.is_websocket and "websocket" in self.transports
        return {
            "sid": session.sid,
            "upgrades": ["websocket"] if may_upgrade else [],
            "pingTimeout": round(self.ping_timeout * 1000),
            "pingInterval": round((self.ping_interval + self.ping_interval_grace_period) * 1000),
            "maxPayload": int(self.max_http_buffer_size),
        }

    async def _accept(self, request: EngineRequest) -> WebSocket:
        websocket = websocket_of(request.scope)
        await request.send({"type": "websocket.accept"})
        return websocket

    async def _upgrade(self, request: EngineRequest, session: EngineSession) -> None:
        # A WebSocket too many is accepted, then closed: that is how clients learn of it.
        websocket = await self._accept(request)
        if self.allow_upgrades and await session.probe(websocket):
            session.move_to(websocket)
        else:
            websocket.close(PROTOCOL_ERROR, "the upgrade failed")

    async def _get(self, request: EngineRequest, session: EngineSession) -> None:
        await request.receive()
        watch = self.spawn(self._watch_poll(request, session))
        try:
            frames = await session.poll()
        except ProtocolViolation as violation:
            await session.violated(violation)
            raise RequestError(str(violation)) from None
        finally:
            watch.cancel()
        try:
            await self._respond(request, polling_payload(frames).encode())
        except OSError:
            await session.close(reason=REASON.TRANSPORT_ERROR)  # the frames are lost

    async def _watch_poll(self, request: EngineRequest, session: EngineSession) -> None:
        """Tell the session if the client hangs up while it waits."""
        await request.receive()
        session.hung_up()

    async def _post(self, request: EngineRequest, session: EngineSession) -> None:
        try:
            await session.post(await request.body(self.max_http_buffer_size))
        except ProtocolViolation as violation:
            await session.violated(violation)
            raise RequestError(str(violation)) from None
        except RequestError as error:
            if error.status == 413:
                # The body is lost, and with it the order of the session.
                await session.close(reason=REASON.TRANSPORT_ERROR)
            raise
        await self._respond(request, b"ok")

    # Answers.

    def _check_origin(self, environ: dict[str, Any]) -> None:
        """Raises RequestError for a page of another origin."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or self.cors_allowed_origins == []:
            return
        allowed = self._cors_allowed_origins(environ)
        if allowed is not None and origin not in allowed:
            raise RequestError("Pages of that origin may not connect", 4, 403)

    async def _respond(
        self, request: EngineRequest, body: bytes, status: int = 200, headers: Headers = PLAIN
    ) -> None:
        headers = [*headers, *self._cors_headers(request.environ)]
        if self.http_compression and len(body) >= self.compression_threshold:
            accepted = {coding.partition(";")[0].strip()
                        for coding in request.environ.get("HTTP_ACCEPT_ENCODING", "").split(",")}
            for coding, compress in COMPRESSIONS.items():
                if coding in accepted:
                    body = compress(body)
                    headers.append(("Content-Encoding", coding))
                    break
        await request.respond(status, body, headers)

    def _cookie(self, session: EngineSession) -> Headers:
        if not self.cookie:
            return []
        attributes = self.cookie if isinstance(self.cookie, dict) else {
            "name": self.cookie, "path": "/", "SameSite": "Lax",
        }
        return [("Set-Cookie", self._generate_sid_cookie(session.sid, attributes))]

    # The application.

    async def _call(self, event: str, *args: Any) -> Any:
        """Call a handler and return its result; one that fails is logged, and refuses a connection."""
        handler = self.handlers.get(event)
        if handler is None:
            return None
        try:
            try:
                result = handler(*args)
            except TypeError:
                if event != "disconnect":
                    raise
                result = handler(args[0])  # a handler that takes no reason
            return await result if hasattr(result, "__await__") else result
        except Exception:
            self.logger.exception("%s handler error", event)
            return False

    async def deliver(self, session: EngineSession, data: str | bytes) -> None:
        """Give a message to the handler, JSON decoded unless it is a number, as upstream does.

        Raises ProtocolViolation if the handler does; its other exceptions are logged.
        """
        if isinstance(data, str) and data and not data[0].isnumeric():
            data = _decoded(data)
        if self.async_handlers:
            self.spawn(self._call("message", session.sid, data))
        elif (handler := self.handlers.get("message")) is not None:
            try:
                result = handler(session.sid, data)
                if hasattr(result, "__await__"):
                    await result
            except ProtocolViolation:
                raise
            except Exception:
                self.logger.exception("message handler error")

    async def session_ended(self, session: EngineSession, reason: str) -> None:
        """Tell the application that a session has ended, and forget it."""
        try:
            await self._call("disconnect", session.sid, reason)
        finally:
            self._forget(session)

    def _forget(self, session: EngineSession) -> None:
        session.closed = True
        if session.place is not None:
            session.place.release()
        self.sockets.pop(session.sid, None)

    def keep_last_frames(self, sid: str, frames: bytes) -> None:
        """Keep a polling client's last frames for the request that it is about to make."""
        self._last_frames[sid] = polling_payload(frames)
        self.timers.call_later(LAST_FRAMES_TIME, self._last_frames.pop, sid, None)

    @cached_property
    def timers(self) -> Timers:
        """The running event loop, unless a test has given its own."""
        return self._timers or asyncio.get_running_loop()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task, and keep a reference to it: the event loop keeps none."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def generate_id(self) -> str:
        """A session id nobody can guess. Replaces one that takes eight calls for fewer random bits."""
        return os.urandom(16).hex()

    async def send_packet(self, sid: str, pkt: packet.Packet) -> None:
        """Send a packet without waiting; to a session that is gone, nothing. Replaces an unbounded queue."""
        if session := self.sockets.get(sid):
            session.send_frame(engine_frame(pkt.encode()))

    async def disconnect(self, sid: str | None = None) -> None:
        """Close one session, or all. Replaces a wait for clients that do not read."""
        chosen = list(self.sockets) if sid is None else [sid]
        for session in filter(None, map(self.sockets.get, chosen)):
            await session.close()


def _decoded(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data

