"""An Engine.IO server that keeps to the protocol, to its time and to its memory.

`AsyncServer` is python-engineio's, with the session and the handling of requests replaced; it is served by
`engineio.ASGIApp`. Each override says in one line what it replaces. `tests/gateways/test_overrides.py` fails where
upstream changes under one. Specification: `engine.io-protocol` v4, and the reference server where that is silent.
"""

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import engineio
import msgspec
from engineio import packet

from webchat.net.engineio.http import PLAIN, Ask, Refusal, Request
from webchat.net.engineio.payload import polling_payload
from webchat.net.engineio.session import OPEN, Socket
from webchat.net.engineio.transports import WebSocket
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import PROTOCOL_ERROR, text_frame

__all__ = ["AsyncServer", "Socket"]

FAREWELL_TIME = 10.0
"""Seconds for which the last words to a polling client are kept for its next request."""


class AsyncServer(engineio.AsyncServer):
    """python-engineio's server for ASGI; takes upstream's arguments, and three of its own.

    `max_queue` (bytes) and `patience` (seconds) bound what waits for one client where the transport does not do so
    itself; a client that tries a WebSocket has `upgrade_timeout` seconds to complete that.
    """

    def __init__(
        self,
        async_mode: str | None = None,
        *args: Any,
        upgrade_timeout: float = 10.0,
        max_queue: int = 1 << 20,
        patience: float = 10.0,
        **kwargs: Any,
    ):
        # Replaces the choice of the first framework that happens to be installed.
        if async_mode not in (None, "asgi"):
            raise ValueError(f"this server speaks ASGI, not {async_mode!r}")
        super().__init__("asgi", *args, **kwargs)
        self.upgrade_timeout = upgrade_timeout
        self.max_queue = max_queue
        self.patience = patience
        self.start_service_task = False  # sessions look after their own time
        self._farewells: dict[str, str] = {}
        self._tasks: set[asyncio.Task] = set()

    # Requests.

    async def handle_request(self, scope: dict, receive: Any, send: Any) -> None:
        """The ASGI application. Replaces upstream's, with its answers to what the protocol does not allow."""
        request = Request(scope, receive, send)
        if request.is_websocket:
            await receive()
        try:
            self._check_origin(request.environ)
            await self._dispatch(request, request.ask(self.transports))
        except Refusal as refusal:
            await self._respond(request, refusal.body, refusal.status)
        except OSError:
            pass  # the client is gone, and with it whoever would read an answer

    async def _dispatch(self, request: Request, ask: Ask) -> None:
        if ask.method == "OPTIONS":
            await self._respond(request, b"ok")
        elif ask.sid is None:
            await (self._open_websocket if request.is_websocket else self._open_polling)(request)
        elif ask.sid in self._farewells and ask.method == "GET" and not request.is_websocket:
            await self._respond(request, self._farewells.pop(ask.sid).encode())
        elif (socket := self.sockets.get(ask.sid)) is None or socket.closing or not socket.connected:
            raise Refusal("Session ID unknown", 1)
        elif request.is_websocket:
            await self._upgrade(request, socket)
        else:
            await (self._post if ask.method == "POST" else self._get)(request, socket)

    async def _open_polling(self, request: Request) -> None:
        socket = await self._open(request)
        try:
            await self._respond(
                request, polling_payload(socket.transport.take()).encode(), headers=self._cookie(socket)
            )
        except OSError:
            await socket.close(reason=self.reason.TRANSPORT_CLOSE)

    async def _open_websocket(self, request: Request) -> None:
        socket = await self._open(request)
        try:
            websocket = await self._accept(request, socket)
        except OSError:
            await socket.close(reason=self.reason.TRANSPORT_CLOSE)
        else:
            await self._live(socket, websocket)

    async def _open(self, request: Request) -> Socket:
        """A new session that the application has let in, its handshake queued. Raises Refusal."""
        socket = Socket(self, self.generate_id())
        self.sockets[socket.sid] = socket
        socket.put(text_frame(OPEN.encode() + msgspec.json.encode(self._handshake(socket, request))))
        verdict: Any = False
        try:
            verdict = await self._trigger_event("connect", socket.sid, request.environ, run_async=False)
        finally:
            if verdict is not None and verdict is not True:
                socket.closing = socket.closed = True
                self.forget(socket)
        if socket.closed:
            raise Refusal(str(verdict or "Unauthorized"), 4, 401)
        socket.connected = True
        socket.schedule_ping()
        return socket

    def _handshake(self, socket: Socket, request: Request) -> dict:
        return {
            "sid": socket.sid,
            "upgrades": [
                name for name in self._upgrades(socket.sid, "websocket" if request.is_websocket else "polling")
                if name in self.transports
            ],
            "pingTimeout": round(self.ping_timeout * 1000),
            "pingInterval": round((self.ping_interval + self.ping_interval_grace_period) * 1000),
            "maxPayload": int(self.max_http_buffer_size),
        }

    async def _accept(self, request: Request, socket: Socket) -> WebSocket:
        await request.send({"type": "websocket.accept"})
        return WebSocket(request, self.max_queue, self.patience, self.spawn, socket.overflowed)

    async def _live(self, socket: Socket, websocket: WebSocket) -> None:
        try:
            await socket.run(websocket)
        except ProtocolViolation as violation:
            await self._punish(socket, violation)
        finally:
            await socket.close(wait=False, abort=True, reason=self.reason.TRANSPORT_CLOSE)
            await websocket.closed()

    async def _upgrade(self, request: Request, socket: Socket) -> None:
        # A WebSocket too many is accepted, then closed: that is how clients learn it.
        websocket = await self._accept(request, socket)
        if self.allow_upgrades and await socket.upgrade(websocket):
            await self._live(socket, websocket)
        else:
            websocket.close(PROTOCOL_ERROR, "the upgrade failed")
            await websocket.closed()

    async def _get(self, request: Request, socket: Socket) -> None:
        """Wait for packets, but no longer than the client does. Replaces a wait that outlived the request."""
        await request.receive()
        watch = self.spawn(self._watch(request, socket))
        try:
            frames = await socket.poll()
        except ProtocolViolation as violation:
            await self._punish(socket, violation)
            raise Refusal(str(violation)) from None
        finally:
            watch.cancel()
        try:
            await self._respond(request, polling_payload(frames).encode())
        except OSError:
            await socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR)  # the frames are lost

    async def _watch(self, request: Request, socket: Socket) -> None:
        """Close the session if the client hangs up while it waits."""
        await request.receive()
        if socket.transport.busy:
            self.spawn(socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR))

    async def _post(self, request: Request, socket: Socket) -> None:
        try:
            await socket.post(await request.body(self.max_http_buffer_size))
        except ProtocolViolation as violation:
            await self._punish(socket, violation)
            raise Refusal(str(violation)) from None
        except Refusal as refusal:
            if refusal.status != 413:
                raise
            # What was in the body is lost, and with it the order of the session.
            await socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR)
            raise
        await self._respond(request, b"ok")

    async def _punish(self, socket: Socket, violation: ProtocolViolation) -> None:
        self.logger.info("%s: %s", socket.sid, violation)
        await socket.close(
            wait=False, reason=self.reason.TRANSPORT_ERROR, code=violation.status, text=str(violation)
        )

    # Answers.

    def _check_origin(self, environ: dict) -> None:
        """Raises Refusal for a page from elsewhere. Replaces an answer that let WebSockets in all the same."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or self.cors_allowed_origins == []:
            return
        allowed = self._cors_allowed_origins(environ)
        if allowed is not None and origin not in allowed:
            raise Refusal("Pages of that origin may not connect", 4, 403)

    async def _respond(
        self, request: Request, body: bytes, status: int = 200, headers: list[tuple[str, str]] | None = None
    ) -> None:
        headers = [*PLAIN, *(headers or ()), *self._cors_headers(request.environ)]
        if self.http_compression and len(body) >= self.compression_threshold:
            accepted = {word.partition(";")[0].strip() for word in
                        request.environ.get("HTTP_ACCEPT_ENCODING", "").split(",")}
            for encoding in self.compression_methods:
                if encoding in accepted:
                    body = getattr(self, "_" + encoding)(body)
                    headers += [("Content-Encoding", encoding)]
                    break
        await request.respond(status, body, headers)

    def _cookie(self, socket: Socket) -> list[tuple[str, str]]:
        if not self.cookie:
            return []
        attributes = self.cookie if isinstance(self.cookie, dict) else {
            "name": self.cookie, "path": "/", "SameSite": "Lax",
        }
        return [("Set-Cookie", self._generate_sid_cookie(socket.sid, attributes))]

    # What sessions ask of their server.

    async def message(self, sid: str, data: str | bytes) -> None:
        """A message has come: JSON is decoded, if it is not a bare number, as upstream does.

        Raises ProtocolViolation if the handler does; its other exceptions are logged.
        """
        if type(data) is str and data and not data[0].isnumeric():
            try:
                data = packet.Packet.json.loads(data)
            except (ValueError, RecursionError):
                pass
        handler = self.handlers.get("message")
        if self.async_handlers:
            await self._trigger_event("message", sid, data, run_async=True)
        elif handler is not None:
            try:
                result = handler(sid, data)
                if inspect.isawaitable(result):
                    await result
            except ProtocolViolation:
                raise
            except Exception:
                self.logger.exception("message handler error")

    def forget(self, socket: Socket) -> None:
        """The session is over."""
        self.sockets.pop(socket.sid, None)

    def bid_farewell(self, sid: str, last: bytes) -> None:
        """Keep a polling client's last frames for the request that it is about to make."""
        self._farewells[sid] = polling_payload(last)
        asyncio.get_running_loop().call_later(FAREWELL_TIME, self._farewells.pop, sid, None)

    def spawn(self, coroutine: Coroutine) -> asyncio.Task:
        """Run a coroutine, and hold on to its task: the event loop does not."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def disconnect(self, sid: str | None = None) -> None:
        """Close one session, or all. Replaces a wait for clients that do not read."""
        chosen = list(self.sockets) if sid is None else [sid]
        for socket in filter(None, map(self.sockets.get, chosen)):
            await socket.close()
