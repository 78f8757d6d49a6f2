"""One Engine.IO session: its heartbeat, its transport, its upgrade and its end."""

import asyncio
from collections.abc import Callable
from typing import Any

from engineio import async_socket, packet

from webchat.net.engineio.http import Refusal
from webchat.net.engineio.payload import engine_frame, polling_packets
from webchat.net.engineio.transports import Polling, WebSocket
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import NORMAL, TOO_BIG

NUDGE = 0.1
"""Seconds after which a poll is ended while the client tries a WebSocket, so that it can let go of polling. Anything
shorter spins where a proxy swallows the WebSocket's frames."""

TURN = 50
"""Packets of one request that are handled before everybody else has a turn."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
PING_FRAME, CLOSE_FRAME, NOOP_FRAME = map(engine_frame, (PING, CLOSE, NOOP))


def discard(frame: bytes) -> None:
    """Where the frames for a closed session go."""


class Socket(async_socket.AsyncSocket):
    """An Engine.IO session.

    `put(frame)` sends ready-made WebSocket frames, whole packets each: it never blocks or raises, and keeps the order
    across the upgrade. It changes with the state of the session: look it up for each frame, do not keep it. The `send`
    of each of `followers` is always the same as `put`, so that a broadcast need not come by here.
    """

    def __init__(self, server: Any, sid: str):
        # Replaces an asyncio.Queue, a dictionary and a clock reading per session; hence no call of upstream's.
        self.server = server
        self.sid = sid
        self.connected = self.upgrading = self.upgraded = self.closing = self.closed = False
        self.transport: Polling | WebSocket = Polling(server.max_queue, self.overflowed)
        self.followers: tuple[Any, ...] = ()
        self.put = self.transport.send
        self._session: dict | None = None
        self._held: list[bytes] | None = None
        self._posting = False
        self._probe: WebSocket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None  # by which the pong must come; None while no ping is out

    @property
    def put(self) -> Callable[[bytes], None]:
        return self._put

    @put.setter
    def put(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        for follower in self.followers:
            follower.send = put

    @property
    def session(self) -> dict:
        """What the application keeps about this client; made when it is first asked for."""
        if self._session is None:
            self._session = {}
        return self._session

    @session.setter
    def session(self, session: dict) -> None:
        self._session = session

    # Sending.

    async def send(self, pkt: packet.Packet) -> None:
        """Send a packet. Replaces upstream's unbounded queue."""
        self.put(engine_frame(pkt.encode()))

    def hold(self, seconds: float) -> None:
        """Keep what follows for a moment, so that it does not share a segment with what was just sent."""
        if isinstance(self.transport, WebSocket) and self._held is None and not self.closing:
            self._held = []
            self.put = self._held.append
            asyncio.get_running_loop().call_later(seconds, self._release)

    def _release(self) -> None:
        if self._held is None:
            return
        held, self._held = self._held, None
        if held:
            self.transport.send(b"".join(held))
        if not self.closing:
            self.put = self.transport.send

    def overflowed(self, reason: str) -> None:
        """The client does not keep up: it is cut off."""
        # Not at once: we may be in the middle of a broadcast, which the application's handler would break into.
        self.server.spawn(self.close(reason=self.server.reason.TRANSPORT_ERROR, text=reason))

    # Receiving.

    async def handle(self, data: str | bytes) -> None:
        """Take one packet. Replaces `receive`, which parsed JSON, formatted a log line, and let violations pass.

        Raises ProtocolViolation.
        """
        if len(data) > self.server.max_http_buffer_size:
            raise ProtocolViolation("the packet is too large", TOO_BIG)
        if type(data) is not str:
            await self.server.message(self.sid, data)
        elif data[:1] == MESSAGE:
            await self.server.message(self.sid, data[1:])
        elif data == PONG:
            if self._deadline is not None:
                self.schedule_ping()
        elif data == CLOSE:
            await self.close(wait=False, abort=True, reason=self.server.reason.CLIENT_DISCONNECT)
        elif data != NOOP:
            raise ProtocolViolation("not an Engine.IO packet that clients send")

    async def post(self, body: bytes) -> None:
        """Take the packets that a client posted. Replaces `handle_post_request`, which dropped all but 16.

        Raises ProtocolViolation, or Refusal like `poll`.
        """
        self._check_open()
        if self._posting:
            raise ProtocolViolation("one request at a time may send packets")
        self._posting = True
        try:
            for number, data in enumerate(polling_packets(body), 1):
                await self.handle(data)
                if self.closing:
                    return
                if number % TURN == 0:
                    await asyncio.sleep(0)
        finally:
            self._posting = False

    async def poll(self) -> bytes:
        """The frames for one polling request. Replaces a timer per poll, and a reply of nothing after an upgrade.

        A second request while one waits is answered with ProtocolViolation, and a client that comes back after its
        time is gone. Raises Refusal for a request that an upgrade, or the end, has overtaken.
        """
        self._check_open()
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            await self._time_out()
            raise ProtocolViolation("ping timeout")
        if self.transport.busy:
            raise ProtocolViolation("one request at a time may wait for packets")
        return await self.transport.poll(NUDGE if self._probe else None) or NOOP_FRAME

    def _check_open(self) -> None:
        """The session may have moved on while a request was on its way in."""
        if self.closing:
            raise Refusal("Session ID unknown", 1)
        if self.upgraded:
            raise Refusal("The session has been upgraded")

    # Heartbeat.

    def schedule_ping(self) -> None:
        """Plan the next ping. Replaces a sleeping task per ping, and a service task that looks for lost pongs."""
        if self._timer is not None:
            self._timer.cancel()
        self._deadline = None
        if not self.closing:
            loop = asyncio.get_running_loop()
            due = loop.time() + self.server.ping_interval
            self._timer = loop.call_at(due, self._ping, due)

    def _ping(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        self.put(PING_FRAME)
        # Counted from when the ping was due, as clients count; but they shall not pay for a delay of ours.
        timeout = self.server.ping_timeout
        self._deadline = max(due + timeout, loop.time() + timeout / 2)
        self._timer = loop.call_at(self._deadline, self._expired)

    def _expired(self) -> None:
        self.server.spawn(self._time_out())

    async def _time_out(self) -> None:
        await self.close(wait=False, reason=self.server.reason.PING_TIMEOUT, text="ping timeout")

    # WebSocket.

    async def run(self, websocket: WebSocket) -> None:
        """Live on a WebSocket until it ends. Replaces a writer task, and a task and a timer per message.

        Raises ProtocolViolation.
        """
        self._adopt(websocket)
        receive = websocket.receive
        while (event := await receive())["type"] == "websocket.receive":
            if not self.closing:
                text = event.get("text")
                await self.handle(event["bytes"] if text is None else text)
        websocket.gone = True

    async def upgrade(self, websocket: WebSocket) -> bool:
        """Move from polling to a WebSocket if the client's probe gets through.

        Until its last step polling goes on as before, so that a proxy which kills or swallows the frames does no harm.
        Replaces an upgrade that stopped polling first.
        """
        if self.upgrading or self.upgraded or self.closing:
            return False
        self.upgrading = True
        try:
            async with asyncio.timeout(self.server.upgrade_timeout):
                if await _text(websocket) != PING + "probe":
                    return False
                self._probe = websocket
                websocket.send(engine_frame(PONG + "probe"))
                self.transport.end(NOOP_FRAME)
                return await _text(websocket) == UPGRADE and not self.closing
        except TimeoutError:
            return False
        finally:
            self._probe = None
            self.upgrading = False

    def _adopt(self, websocket: WebSocket) -> None:
        waiting = self.transport.hand_over()
        self.transport = websocket
        self.put = websocket.send
        self.upgraded = True
        if waiting:
            self.put(waiting)

    # The end.

    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None, code: int = NORMAL, text: str = ""
    ) -> None:
        """End the session: nothing of it is left when the application's handler has been told, even if that fails.

        `reason` is the application's, `code` and `text` are the WebSocket client's. Replaces a wait for the client to
        read everything, and sessions that stayed behind.
        """
        if self.closing or self.closed:
            return
        self.closing = True
        reason = reason or self.server.reason.SERVER_DISCONNECT
        if self._timer is not None:
            self._timer.cancel()
        self._release()
        self.put = discard
        self._leave(abort, reason, code, text or reason)
        try:
            await self.server._trigger_event("disconnect", self.sid, reason, run_async=False)
        finally:
            self.closed = True
            self.server.forget(self)

    def _leave(self, abort: bool, reason: str, code: int, text: str) -> None:
        if self._probe is not None:
            self._probe.close(code, text)
        if isinstance(self.transport, WebSocket):
            self.transport.close(code, text)
        elif not self.transport.end(NOOP_FRAME if abort else CLOSE_FRAME):
            if reason == self.server.reason.SERVER_DISCONNECT:
                self.server.bid_farewell(self.sid, self.transport.take() + CLOSE_FRAME)


async def _text(websocket: WebSocket) -> str | None:
    return (await websocket.receive()).get("text")
