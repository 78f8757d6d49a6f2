"""The door for any WebSocket client: one JSON object a text frame, at `/ws`.

It is an ASGI application, so that `webchat.net.asgi` holds its clients to RFC 6455 as strictly as Socket.IO's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from tornado.httputil import responses
from tornado.routing import Rule

from webchat.chat.errors import BadMessage, ChatError, LoginRequired, ServerFull
from webchat.chat.events import Event, Joined, Login, Receipt, Welcome
from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TIME, LOGIN_TRIES
from webchat.codecs import json_events
from webchat.gateways.pages import SECURITY
from webchat.net import asgi
from webchat.net.asgi.websocket import SEND_QUEUE
from webchat.net.frames import GOING_AWAY, POLICY, text_frame
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox, SendQueue
from webchat.net.proxies import Proxies

PING_INTERVAL = 20.0
"""Seconds between pings; a peer that has not answered one by the next is gone."""


def encode(event: Event) -> bytes:
    """An event as the frame that all clients of this door share, WebSocket header included."""
    name, payload = json_events.payload(event)
    return _frame({"type": name, **payload})


class WebSocketDoor:
    """The door at `/ws`; `login_time` in seconds."""

    def __init__(self, hub: Hub, outbox: Outbox, origins: Origins, proxies: Proxies, login_time: float = LOGIN_TIME):
        self.hub = hub
        self.outbox = outbox
        self.origins = origins
        self.proxies = proxies
        self.login_time = login_time
        self.connections: set[ChatSocket] = set()
        self._left = asyncio.Event()

    def routes(self) -> list[Rule]:
        """For Tornado's application."""
        return asgi.mount(r"/ws", self._serve, outbox=self.outbox, max_message_size=json_events.MAX_REQUEST,
                          ping_interval=PING_INTERVAL)

    async def _serve(self, scope: dict, receive: Callable[[], Awaitable[dict]], send: Callable) -> None:
        """ASGI: only the handshakes of pages that may speak here get through."""
        if scope["type"] == "http":
            await _refuse(scope, send, 400, "This is a WebSocket.")
        elif not self.origins.allows(_header(scope, b"origin"), _header(scope, b"host")):
            await _refuse(scope, send, 403, "Pages of other sites may not speak here.")
        else:
            await receive()
            await send({"type": "websocket.accept"})
            await ChatSocket(self, scope).live(receive)

    def address(self, scope: dict) -> str:
        """The IP address of the client, as far as proxies that we trust tell it."""
        return self.proxies.behind(scope["client"][0] if scope["client"] else "", _values(scope, b"x-forwarded-for"))

    def forget(self, connection: "ChatSocket") -> None:
        """It has ended."""
        self.connections.discard(connection)
        self._left.set()

    async def drain(self, reason: str) -> None:
        """Tell everybody why, and return when all connections have ended."""
        for connection in list(self.connections):
            connection.end(reason, GOING_AWAY)
        while self.connections:
            self._left.clear()
            await self._left.wait()


class ChatSocket:
    """One connection. Its next frame is read when the last one has been answered: nobody gets ahead of the chat."""

    def __init__(self, door: WebSocketDoor, scope: dict):
        self._door = door
        self._hub = door.hub
        self._address = door.address(scope)
        self._queue = scope["extensions"][SEND_QUEUE]["queue"]
        self._close = scope["extensions"][SEND_QUEUE]["close"]
        self._refused_logins = 0
        self._session = None
        self._deadline = None

    async def live(self, receive: Callable[[], Awaitable[dict]]) -> None:
        """From the first frame to the end."""
        self._door.connections.add(self)
        try:
            self._open()
            while (event := await receive())["type"] == "websocket.receive":
                if self._session and not self._session.closed:
                    await self._take(event.get("text"))
        finally:
            self._door.forget(self)
            if self._deadline:
                self._deadline.cancel()
            if self._session:
                self._hub.close(self._session)

    def end(self, reason: str, code: int = POLICY) -> None:
        """Close, after all that was sent before, with a reason the client can read. The chat forgets it at once."""
        if self._session:
            self._hub.close(self._session)
        self._close(code, reason)

    def _open(self) -> None:
        try:
            self._session = self._hub.open(encode=encode, outlet=_Outlet(self, self._queue), address=self._address)
        except ServerFull as error:
            self._answer_error(error, None)
            self.end(str(error))
        else:
            self._deadline = asyncio.get_running_loop().call_later(self._door.login_time, self._too_late)

    async def _take(self, text: str | None) -> None:
        ref = command = None
        try:
            request = _decode(text)
            ref = _ref(request)
            command = json_events.command(_type(request), request)
            receipt = await self._hub.handle(self._session, command)
        except ChatError as error:
            self._answer_error(error, ref)
            if isinstance(command, Login):
                self._count_refused_login()
        else:
            self._answer(receipt, ref)

    def _answer(self, receipt: Receipt, ref: str | float | None) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **json_events.acknowledgement(receipt)})
        match receipt:
            case Welcome():
                self._deadline.cancel()
                self._session.send(receipt)
            case Joined(room, members):
                history = json_events.acknowledgement(receipt)["history"]
                self._send({"type": "history", "room": room, "members": members, "messages": history})

    def _answer_error(self, error: ChatError, ref: str | float | None) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **json_events.error_answer(error)})
        else:
            self._send({"type": "error", "code": error.code, "message": str(error)})

    def _count_refused_login(self) -> None:
        if self._session.person is None:
            self._refused_logins += 1
            if self._refused_logins >= LOGIN_TRIES:
                self.end("Too many refused logins.")

    def _too_late(self) -> None:
        if self._session.person is None:
            error = LoginRequired("Nobody logged in on this connection in time.")
            self._answer_error(error, None)
            self.end(str(error))

    def _send(self, answer: dict[str, Any]) -> None:
        self._queue.send(_frame(answer))


class _Outlet:
    """A session's way out: frames straight into the send queue, with no call in between."""

    __slots__ = ("_socket", "send")

    def __init__(self, socket: ChatSocket, queue: SendQueue):
        self._socket = socket
        self.send = queue.send

    def close(self, reason: str) -> None:
        self._socket.end(reason)


def _frame(answer: dict[str, Any]) -> bytes:
    return text_frame(msgspec.json.encode(answer))


def _decode(text: str | None) -> dict[str, Any]:
    if text is None:
        raise BadMessage("This door speaks JSON in text frames, not binary ones.")
    try:
        request = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadMessage("That is not JSON.") from error
    if not isinstance(request, dict):
        raise BadMessage("A request is a JSON object.")
    return request


def _ref(request: dict[str, Any]) -> str | float | None:
    ref = request.get("ref")
    if isinstance(ref, bool) or not isinstance(ref, str | int | float | None):
        raise BadMessage("A ref is a string or a number.")
    return ref


def _type(request: dict[str, Any]) -> str:
    event = request.get("type")
    if not isinstance(event, str):
        raise BadMessage("A request has a type.")
    return event


async def _refuse(scope: dict, send: Callable, status: int, sentence: str) -> None:
    """Answer over HTTP, a handshake too."""
    prefix = "http" if scope["type"] == "http" else "websocket.http"
    security = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
    await send({"type": f"{prefix}.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8"), *security]})
    body = f"{status} {responses[status]}: {sentence}\n"
    await send({"type": f"{prefix}.response.body", "body": body.encode()})


def _header(scope: dict, wanted: bytes) -> str | None:
    """One that is given twice is neither of the two."""
    return ", ".join(_values(scope, wanted)) or None


def _values(scope: dict, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
