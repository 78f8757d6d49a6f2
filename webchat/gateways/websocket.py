"""The door for any WebSocket client: one JSON object a text frame, at `/ws`.

It is an ASGI application, so that `webchat.net.asgi` holds its clients to RFC 6455 as strictly as Socket.IO's.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from tornado.routing import Rule

from webchat.chat.errors import BadMessage, ChatError, LoginRequired, ServerFull
from webchat.chat.events import Event, Joined, Login, Receipt, Welcome
from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TIME, LOGIN_TRIES
from webchat.chat.session import Session
from webchat.codecs import json_events
from webchat.gateways.pages import SECURITY
from webchat.net import asgi
from webchat.net.asgi import Receive, Scope, Send, WebSocket
from webchat.net.frames import GOING_AWAY, POLICY, text_frame
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies

PING_INTERVAL = 20.0
"""Seconds between pings; a peer that has not answered one by the next is gone."""

Ref = str | float | None
"""A request's own name for itself, which its answer repeats."""


def encode(event: Event) -> bytes:
    """An event as the frame that all clients of this door share, WebSocket header included."""
    name, payload = json_events.payload(event)
    return _frame({"type": name, **payload})


class WebSocketDoor:
    """The door at `/ws`; `login_time` in seconds."""

    def __init__(self, hub: Hub, outbox: Outbox, origins: Origins, proxies: Proxies, login_time: float = LOGIN_TIME):
        self.hub = hub
        self.login_time = login_time
        self.connections: set[WebSocketConnection] = set()
        self._outbox = outbox
        self._origins = origins
        self._proxies = proxies
        self._left = asyncio.Event()

    def routes(self) -> list[Rule]:
        """The rules for Tornado's application."""
        return asgi.mount(r"/ws", self._serve, outbox=self._outbox, max_message_size=json_events.MAX_REQUEST,
                          ping_interval=PING_INTERVAL)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: accept the handshakes of pages that may connect, and of programs."""
        if scope["type"] == "http":
            await _refuse(scope, send, 400, "This is a WebSocket.")
        elif not self._origins.allows(_header(scope, b"origin"), _header(scope, b"host")):
            await _refuse(scope, send, 403, "Pages of other sites may not connect here.")
        else:
            await receive()
            await send({"type": "websocket.accept"})
            websocket = asgi.websocket_of(scope)
            websocket.hand_over_to(WebSocketConnection(self, websocket, self._address(scope)))

    def _address(self, scope: Scope) -> str:
        """The client's IP address, as far as trusted proxies tell it."""
        return self._proxies.behind(scope["client"][0] if scope["client"] else "", _values(scope, b"x-forwarded-for"))

    def forget(self, connection: "WebSocketConnection") -> None:
        """The connection is over."""
        self.connections.discard(connection)
        self._left.set()

    async def drain(self, reason: str) -> None:
        """Close all connections with `reason`, and return when they are over."""
        for connection in list(self.connections):
            connection.close(reason, GOING_AWAY)
        while self.connections:
            self._left.clear()
            await self._left.wait()


class WebSocketConnection:
    """One connection: a `webchat.net.asgi.Receiver`, and the outlet of its session.

    The next frame is read when the last one has been answered, so that no client can get ahead of the chat.
    """

    def __init__(self, door: WebSocketDoor, websocket: WebSocket, address: str):
        self.send = websocket.send_frame  # for each message to each listener: no call in between
        self._websocket = websocket
        self._door = door
        self._hub = door.hub
        self._refused_logins = 0
        self._session: Session | None = None
        self._login_timer: asyncio.TimerHandle | None = None
        door.connections.add(self)
        try:
            self._session = self._hub.open(encode=encode, outlet=self, address=address)
        except ServerFull as error:
            self._answer_error(error, None)
            self.close(str(error))
        else:
            self._login_timer = asyncio.get_running_loop().call_later(door.login_time, self._login_overdue)

    async def receive(self, message: str | bytes) -> None:
        """Answer one request."""
        session = self._session
        if session is None or session.closed:
            return
        ref = command = None
        try:
            request = _decode(message)
            ref = _ref(request)
            command = json_events.command(_type(request), request)
            receipt = await self._hub.handle(session, command)
        except ChatError as error:
            self._answer_error(error, ref)
            if isinstance(command, Login) and session.person is None:
                self._count_refused_login()
        else:
            self._answer(session, receipt, ref)

    async def disconnected(self, code: int, reason: str) -> None:
        """The connection is over."""
        self._door.forget(self)
        if self._login_timer:
            self._login_timer.cancel()
        if self._session:
            self._hub.close(self._session)
            self._session = None  # it leads back here, and reference cycles keep memory for long

    def close(self, reason: str, code: int = POLICY) -> None:
        """Close, after everything that was sent before, with a reason for the user. The chat forgets it at once."""
        if self._session:
            self._hub.close(self._session)
        self._websocket.close(code, reason)

    def _answer(self, session: Session, receipt: Receipt, ref: Ref) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **json_events.acknowledgement(receipt)})
        match receipt:
            case Welcome():
                if self._login_timer:
                    self._login_timer.cancel()
                session.send(receipt)
            case Joined(room, members):
                history = json_events.acknowledgement(receipt)["history"]
                self._send({"type": "history", "room": room, "members": members, "messages": history})

    def _answer_error(self, error: ChatError, ref: Ref) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **json_events.error_answer(error)})
        else:
            self._send({"type": "error", "code": error.code, "message": str(error)})

    def _count_refused_login(self) -> None:
        self._refused_logins += 1
        if self._refused_logins >= LOGIN_TRIES:
            self.close("Too many refused logins.")

    def _login_overdue(self) -> None:
        if self._session and self._session.person is None:
            error = LoginRequired("Nobody logged in on this connection in time.")
            self._answer_error(error, None)
            self.close(str(error))

    def _send(self, answer: dict[str, Any]) -> None:
        self.send(_frame(answer))


def _frame(answer: dict[str, Any]) -> bytes:
    return text_frame(msgspec.json.encode(answer))


def _decode(text: str | bytes) -> dict[str, Any]:
    if isinstance(text, bytes):
        raise BadMessage("This door speaks JSON in text frames, not binary ones.")
    try:
        request = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadMessage("That is not JSON.") from error
    if not isinstance(request, dict):
        raise BadMessage("A request is a JSON object.")
    return request


def _ref(request: dict[str, Any]) -> Ref:
    ref = request.get("ref")
    if isinstance(ref, bool) or not isinstance(ref, str | int | float | None):
        raise BadMessage("A ref is a string or a number.")
    return ref


def _type(request: dict[str, Any]) -> str:
    event = request.get("type")
    if not isinstance(event, str):
        raise BadMessage("A request has a type.")
    return event


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    """Answer over HTTP, a handshake too."""
    prefix = "http" if scope["type"] == "http" else "websocket.http"
    security = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
    await send({"type": f"{prefix}.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8"), *security]})
    body = f"{status} {HTTPStatus(status).phrase}: {sentence}\n"
    await send({"type": f"{prefix}.response.body", "body": body.encode()})


def _header(scope: Scope, wanted: bytes) -> str | None:
    """One that is given twice is neither of the two."""
    return ", ".join(_values(scope, wanted)) or None


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
