"""The door for any WebSocket client: one JSON object a text frame, at `/ws`."""

import asyncio
from typing import Any

import msgspec
from tornado.websocket import WebSocketHandler

from webchat.chat.errors import BadMessage, ChatError, LoginRequired, ServerFull
from webchat.chat.events import Event, Joined, Receipt, Welcome
from webchat.chat.hub import Hub
from webchat.codecs import vocabulary
from webchat.gateways.origins import Origins
from webchat.gateways.outbox import Outbox, SendQueue, text_frame
from webchat.gateways.proxies import Proxies

LOGIN_TIME = 10.0
"""Seconds that a client has for its login."""

LOGIN_TRIES = 10
"""Refused logins after which a connection is closed."""

MAX_MESSAGE = 64 * 1024
"""Bytes of a message; 4,096 characters, each escaped as a surrogate pair, with room to spare."""

PING_INTERVAL = 20.0
"""Seconds between pings; a peer that has not answered one by the next is gone."""

MAX_REASON = 123
"""Bytes of a close frame's reason (RFC 6455 section 5.5)."""

POLICY_VIOLATION, GOING_AWAY = 1008, 1001


def encode(event: Event) -> bytes:
    """An event as the frame that all clients of this door share, WebSocket header included."""
    name, payload = vocabulary.payload(event)
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

    def routes(self) -> list:
        """The Tornado rules."""
        return [(r"/ws", ChatSocket, {"door": self})]

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


class ChatSocket(WebSocketHandler):
    """One connection. Tornado reads the next frame when `on_message` has finished, so nobody gets ahead of the chat."""

    def initialize(self, door: WebSocketDoor) -> None:
        self._door = door
        self._hub = door.hub
        self._refused_logins = 0
        self._session = None
        self._deadline = None

    @property
    def max_message_size(self) -> int:
        return MAX_MESSAGE

    @property
    def ping_interval(self) -> float:
        return PING_INTERVAL

    @property
    def ping_timeout(self) -> float:
        return PING_INTERVAL

    def check_origin(self, origin: str) -> bool:
        return self._door.origins.allows(origin, self.request.headers.get("Host"))

    def open(self, *_: str, **__: str) -> None:
        self._door.connections.add(self)
        self._queue = SendQueue(self._door.outbox, self.ws_connection.stream, self._overflowed)
        try:
            self._session = self._hub.open(encode=encode, outlet=_Outlet(self, self._queue),
                                           address=self._door.proxies.client(self.request))
        except ServerFull as error:
            self._answer_error(error, None)
            self.end(str(error))
            return
        self._deadline = asyncio.get_running_loop().call_later(self._door.login_time, self._too_late)

    async def on_message(self, message: str | bytes) -> None:
        if self._session is None or self._session.closed:
            return
        ref = None
        try:
            request = _decode(message)
            ref = _ref(request)
            command = vocabulary.command(_type(request), request)
            receipt = await self._hub.handle(self._session, command)
        except ChatError as error:
            self._answer_error(error, ref)
            self._count_refused_login()
        else:
            self._answer(receipt, ref)

    def on_close(self) -> None:
        self._door.forget(self)
        if self._deadline:
            self._deadline.cancel()
        if self._session:
            self._hub.close(self._session)
            self._queue.close()

    def end(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """Close, after all that was sent before, with a reason the client can read. The chat forgets it at once."""
        if self._session:
            self._hub.close(self._session)
        self._queue.flush()
        self.close(code, reason.encode()[:MAX_REASON].decode(errors="ignore"))

    def _answer(self, receipt: Receipt, ref: str | float | None) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **vocabulary.acknowledgement(receipt)})
        match receipt:
            case Welcome():
                self._deadline.cancel()
                self._session.send(receipt)
            case Joined(room, members):
                history = vocabulary.acknowledgement(receipt)["history"]
                self._send({"type": "history", "room": room, "members": members, "messages": history})

    def _answer_error(self, error: ChatError, ref: str | float | None) -> None:
        if ref is not None:
            self._send({"type": "ack", "ref": ref, **vocabulary.refusal(error)})
        else:
            self._send({"type": "error", "code": error.code, "message": str(error)})

    def _count_refused_login(self) -> None:
        if self._session.person is None:
            self._refused_logins += 1
            if self._refused_logins >= LOGIN_TRIES:
                self.end("Too many refused requests before a login.")

    def _too_late(self) -> None:
        if self._session.person is None:
            error = LoginRequired("Nobody logged in on this connection in time.")
            self._answer_error(error, None)
            self.end(str(error))

    def _overflowed(self, reason: str) -> None:
        self._hub.close(self._session)
        self.close(POLICY_VIOLATION, reason)

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


def _decode(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise BadMessage("This door speaks JSON in text frames, not binary ones.")
    try:
        request = msgspec.json.decode(message)
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
