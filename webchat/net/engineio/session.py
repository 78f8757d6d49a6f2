"""One Engine.IO session: its heartbeat, its transport, its upgrade and its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from engineio.base_server import BaseServer

from webchat.net.addresses import Place
from webchat.net.asgi import WebSocket
from webchat.net.engineio.http import RequestError
from webchat.net.engineio.payload import PacketType, engine_frame, polling_packets
from webchat.net.engineio.polling import PollingTransport
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import NORMAL, NOT_UTF8, PROTOCOL_ERROR, TOO_BIG
from webchat.net.timers import Timer, Timers

UPGRADE_POLL_TIME = 0.1
"""Seconds after which a poll is ended while the client tries a WebSocket, so that it can stop polling. A shorter time
would make it spin behind a proxy that swallows the WebSocket's frames."""

RETURN_TIME = 2.0
"""Seconds within which a client has to make another request after it has hung up on one that waited. It may only have
ended its half of the connection, and wait for the answer."""

TURN = 50
"""Packets of one request that are handled before other connections get their turn."""

PING_FRAME, CLOSE_FRAME, NOOP_FRAME = map(engine_frame, (PacketType.PING, PacketType.CLOSE, PacketType.NOOP))

VIOLATIONS = frozenset({PROTOCOL_ERROR, NOT_UTF8, TOO_BIG})
"""Close codes after which the session counts as ended by an error."""

REASON = BaseServer.reason
"""python-engineio's names for why a session ended."""

SendFrame = Callable[[bytes], None]
"""Sends whole WebSocket frames; neither blocks nor raises."""


def discard(frame: bytes) -> None:
    """Drop a frame: the session is closed."""


class SessionOwner(Protocol):
    """What a session needs of its server."""

    ping_interval: float
    ping_timeout: float
    upgrade_timeout: float
    max_queue: int
    max_http_buffer_size: float

    @property
    def timers(self) -> Timers: ...

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        """Run a coroutine in a task."""

    async def deliver(self, session: "EngineSession", data: str | bytes) -> None:
        """Hand a message to the application. Raises ProtocolViolation."""

    async def session_ended(self, session: "EngineSession", reason: str) -> None:
        """Tell the application, and forget the session."""

    def keep_last_frames(self, sid: str, frames: bytes) -> None:
        """Keep a polling client's last frames for its next request."""


class EngineSession:
    """An Engine.IO session; a `webchat.net.asgi.Receiver` once it is on a WebSocket.

    `send_frame` sends ready-made WebSocket frames, whole packets each, and keeps the order across the upgrade. It is
    replaced when the transport changes: `follow` is called with each replacement just before it takes effect.
    """

    __slots__ = (
        "_absence", "_deadline", "_posting", "_probe", "_server", "_session", "_timer", "closed", "closing",
        "connected", "follow", "place", "send_frame", "sid", "transport", "upgrading",
    )

    def __init__(self, server: SessionOwner, sid: str):
        self.sid = sid
        self.place: Place | None = None  # among the sessions of its address, if those are counted
        self.connected = False  # the application has accepted it
        self.upgrading = False
        self.closing = False
        self.closed = False  # the application has been told
        self.transport: PollingTransport | WebSocket = PollingTransport(server.max_queue, self.overflowed)
        self.send_frame: SendFrame = self.transport.send_frame
        self.follow: SendFrameObserver = _ignore
        self._server = server
        self._session: dict[str, Any] | None = None
        self._absence: Timer | None = None
        self._posting = False
        self._probe: WebSocket | None = None
        self._timer: Timer | None = None
        self._deadline: float | None = None  # by which the pong must come; None if no ping is unanswered

    @property
    def session(self) -> dict[str, Any]:
        """What the application keeps about this client."""
        if self._session is None:
            self._session = {}
        return self._session

    @session.setter
    def session(self, session: dict[str, Any]) -> None:
        self._session = session

    @property
    def upgraded(self) -> bool:
        """Whether the session is on a WebSocket."""
        return isinstance(self.transport, WebSocket)

    def _redirect(self, send_frame: SendFrame) -> None:
        self.follow(send_frame)
        self.send_frame = send_frame

    def overflowed(self, reason: str) -> None:
        """Disconnect a client that does not keep up."""
        # In a task: this may be the middle of a broadcast, which the application's handler must not interrupt.
        self._server.spawn(self.close(reason=REASON.TRANSPORT_ERROR, text=reason))

    # Receiving.

    async def receive(self, message: str | bytes) -> None:
        """Take one packet. Raises ProtocolViolation."""
        if self.closing:
            return
        if len(message) > self._server.max_http_buffer_size:
            raise ProtocolViolation("the packet is too large", TOO_BIG)
        if isinstance(message, bytes):
            await self._server.deliver(self, message)
        elif message[:1] == PacketType.MESSAGE:
            await self._server.deliver(self, message[1:])
        elif message == PacketType.PONG:
            if self._deadline is not None:
                self.schedule_ping()
        elif message == PacketType.CLOSE:
            await self.close(abort=True, reason=REASON.CLIENT_DISCONNECT)
        elif message != PacketType.NOOP:
            raise ProtocolViolation("not an Engine.IO packet that clients send")

    async def violated(self, violation: ProtocolViolation) -> None:
        """Close the session because the client broke the protocol."""
        await self.close(reason=REASON.TRANSPORT_ERROR, code=violation.status, text=str(violation))

    async def post(self, body: bytes) -> None:
        """Take the packets that a client posted. Raises ProtocolViolation, or RequestError like `poll`."""
        self._polling()
        if self._posting:
            raise ProtocolViolation("one request at a time may send packets")
        self._posting = True
        try:
            for number, packet in enumerate(polling_packets(body), 1):
                await self.receive(packet)
                if self.closing:
                    return
                if number % TURN == 0:
                    await asyncio.sleep(0)
        finally:
            self._posting = False

    async def poll(self) -> bytes:
        """Return the frames for one polling request.

        Raises ProtocolViolation for a second request while one waits, or for one after the client's time is over;
        RequestError if the session has been upgraded or closed meanwhile.
        """
        transport = self._polling()
        if self._deadline is not None and self._server.timers.time() >= self._deadline:
            await self._time_out()
            raise ProtocolViolation("ping timeout")
        if transport.is_polled:
            raise ProtocolViolation("one request at a time may wait for packets")
        if self._probe is not None:
            self._server.timers.call_later(UPGRADE_POLL_TIME, transport.end_poll, NOOP_FRAME)
        return await transport.poll()

    def _polling(self) -> PollingTransport:
        """The transport, unless the session has been closed or upgraded while the request was on its way."""
        if self.closing:
            raise RequestError("Session ID unknown", 1)
        if isinstance(self.transport, WebSocket):
            raise RequestError("The session has been upgraded")
        self._returned()
        return self.transport

    def hung_up(self) -> None:
        """The client has hung up on the request that waits: answer it, and end the session if no other one comes."""
        if isinstance(self.transport, PollingTransport) and self.transport.end_poll(NOOP_FRAME):
            self._absence = self._server.timers.call_later(RETURN_TIME, self._stayed_away)

    def _stayed_away(self) -> None:
        self._server.spawn(self.close(reason=REASON.TRANSPORT_ERROR))

    def _returned(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None

    # The heartbeat.

    def schedule_ping(self) -> None:
        """Ping the client when the interval is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._deadline = None
        if not self.closing:
            timers = self._server.timers
            due = timers.time() + self._server.ping_interval
            self._timer = timers.call_at(due, self._ping, due)

    def _ping(self, due: float) -> None:
        timers, timeout = self._server.timers, self._server.ping_timeout
        self.send_frame(PING_FRAME)
        # Counted from when the ping was due, as clients do; but a delay of this process must not cost them their time.
        self._deadline = max(due + timeout, timers.time() + timeout / 2)
        self._timer = timers.call_at(self._deadline, self._ping_unanswered)

    def _ping_unanswered(self) -> None:
        self._server.spawn(self._time_out())

    async def _time_out(self) -> None:
        await self.close(reason=REASON.PING_TIMEOUT, text="ping timeout")

    # On a WebSocket.

    def move_to(self, websocket: WebSocket) -> None:
        """Use this WebSocket from now on; what was waiting for a poll goes first."""
        transport = self.transport
        assert isinstance(transport, PollingTransport)
        waiting = transport.hand_over()
        if self.closing:
            websocket.close(NORMAL)
            return
        self._returned()
        self.transport = websocket
        self._redirect(websocket.send_frame)
        if waiting:
            self.send_frame(waiting)
        websocket.hand_over_to(self)

    async def probe(self, websocket: WebSocket) -> bool:
        """Return whether the client's probe has got through a WebSocket that it opened beside polling.

        Polling goes on until the last step, so that a proxy which kills or swallows the frames does no harm.
        """
        if self.upgrading or self.upgraded or self.closing:
            return False
        self.upgrading = True
        try:
            async with asyncio.timeout(self._server.upgrade_timeout):
                if await _text(websocket) != PacketType.PING + "probe":
                    return False
                self._probe = websocket
                websocket.send_frame(engine_frame(PacketType.PONG + "probe"))
                if isinstance(self.transport, PollingTransport):
                    self.transport.end_poll(NOOP_FRAME)
                return await _text(websocket) == PacketType.UPGRADE and not self.closing
        except TimeoutError:
            return False
        finally:
            self._probe = None
            self.upgrading = False

    async def disconnected(self, code: int, reason: str) -> None:
        """The WebSocket is over."""
        why = REASON.TRANSPORT_ERROR if code in VIOLATIONS else REASON.TRANSPORT_CLOSE
        await self.close(abort=True, reason=why)

    # The end.

    async def close(
        self, *, reason: str = REASON.SERVER_DISCONNECT, abort: bool = False, code: int = NORMAL, text: str = ""
    ) -> None:
        """End the session: nothing of it is left once the application has been told, even if that fails.

        `reason` is for the application, `code` and `text` are for a WebSocket client. With `abort` a waiting poll is
        answered with a NOOP instead of a CLOSE.
        """
        if self.closing:
            return
        self.closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._redirect(discard)
        self._close_transport(abort, reason, code, text or reason)
        await self._server.session_ended(self, reason)
        self.follow = _ignore  # it leads to the client's record, which leads back here

    def _close_transport(self, abort: bool, reason: str, code: int, text: str) -> None:
        if self._probe is not None:
            self._probe.close(code, text)
        if isinstance(self.transport, WebSocket):
            self.transport.close(code, text)
            return
        if not self.transport.end_poll(NOOP_FRAME if abort else CLOSE_FRAME) and reason == REASON.SERVER_DISCONNECT:
            self._server.keep_last_frames(self.sid, self.transport.take() + CLOSE_FRAME)
        self.transport.close()


SendFrameObserver = Callable[[SendFrame], None]


def _ignore(send_frame: SendFrame) -> None:
    """Nobody follows this session."""


async def _text(websocket: WebSocket) -> str | None:
    text: str | None = (await websocket.receive()).get("text")
    return text
