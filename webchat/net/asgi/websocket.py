"""One WebSocket of an ASGI application inside Tornado.

Everything that is sent goes through one `SendQueue`, the handshake's answer included, so that the order holds. What
arrives is read when the application asks for it: an application that lags slows its client down instead of filling
memory.

Beyond ASGI, an application may take the connection itself: `websocket_of(scope)` is it. After `websocket.accept` its
`send_frame` takes ready-made frames, which can be shared with other connections, `close` closes without a coroutine,
and `hand_over_to` has each message given to a `Receiver` once the application has returned, so that no coroutine of the
application stays around for an idle connection.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError

from webchat.net import frames
from webchat.net.asgi.handshake import refusal, switching_protocols
from webchat.net.asgi.host import AppHost
from webchat.net.asgi.http import Response
from webchat.net.asgi.types import Disconnected, Message, Scope
from webchat.net.errors import ProtocolViolation
from webchat.net.outbox import SendQueue
from webchat.net.timers import Timer

log = logging.getLogger(__name__)

RECHECK_DELAY = 0.1
"""Seconds between finding a ping unanswered and acting on it: if this process was stalled, the pong may be unread."""

READ_SIZE = 16 * 1024
"""Bytes read at once. Tornado allocates and clears as many for each read."""

SEND_BUFFER = 64 * 1024
"""Bytes that an application may send before it waits until the client has taken them."""

EXTENSION = "webchat.websocket"
"""The key of the connection in `scope["extensions"]`."""


class Receiver(Protocol):
    """Takes over a WebSocket from the application."""

    async def receive(self, message: str | bytes) -> None:
        """Take one message; the next one is read when this has returned.

        Raises ProtocolViolation, which closes the connection with its status and reason.
        """

    async def disconnected(self, code: int, reason: str) -> None:
        """The connection is over; called once. `code` is 1006 if it was lost."""


def websocket_of(scope: Scope) -> "WebSocket":
    """The connection of a WebSocket scope. Raises RuntimeError under an ASGI server other than this one."""
    try:
        websocket: WebSocket = scope["extensions"][EXTENSION]
    except KeyError:
        raise RuntimeError("This application has to be served by webchat.net.asgi.mount.") from None
    return websocket


class WebSocket:
    """One connection, from the handshake's request to the end."""

    __slots__ = (
        "__weakref__", "_burst", "_changed", "_closing", "_connected", "_connection", "_disconnect", "_host", "_key",
        "_messages", "_queue", "_read", "_reader", "_receiver", "_refusal", "_response", "_scope", "_silent", "_stream",
        "_timer", "send_frame",
    )

    def __init__(self, host: AppHost, connection: HTTP1Connection, scope: Scope, headers: HTTPHeaders):
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = []
        if "Sec-WebSocket-Protocol" in headers:
            scope["subprotocols"] = [word.strip() for word in headers["Sec-WebSocket-Protocol"].split(",") if word]
        scope["extensions"] = {"websocket.http.response": {}, EXTENSION: self}
        del scope["method"]
        self.send_frame: Callable[[bytes], None]  # there once the handshake has been accepted
        self._host = host
        self._scope = scope
        self._key = headers.get("Sec-WebSocket-Key", "")
        self._refusal = refusal(headers.get("Sec-WebSocket-Version"), self._key)
        self._connection: HTTP1Connection | None = connection  # until the handshake is answered with 101
        self._response: Response | None = None  # if it is answered with something else
        self._connected = False  # the application has received its first event
        self._stream: IOStream | None = None
        self._queue: SendQueue
        self._reader: frames.FrameReader
        self._receiver: Receiver | None = None
        self._messages: Iterator[frames.Received] = iter(())  # received, and parsed as the application takes them
        self._read: asyncio.Future[bytes] | None = None
        self._changed: asyncio.Future[None] | None = None
        self._burst = 0  # bytes sent since the client was last known to have taken all
        self._closing = False  # a close frame has been sent
        self._disconnect: Message | None = None  # the application's last event
        self._silent = False  # nothing has been received since the last ping
        self._timer: Timer | None = None  # the next ping or, once it closes, the end
        connection.set_close_callback(self.disconnected)

    # While the connection speaks HTTP, Tornado calls these three.

    def data_received(self, chunk: bytes) -> None:
        """A handshake has no body; if one comes, it is dropped."""

    def finish(self) -> None:
        """The request has been received."""
        if self._refusal:
            self._refuse(*self._refusal)
        else:
            self._host.start(self._run())

    def disconnected(self) -> None:
        """The client has gone before its handshake was answered."""
        self._over(frames.ABNORMAL)
        self._wake()

    # The application calls these: the first two are ASGI's.

    async def receive(self) -> Message:
        """ASGI's `receive`; cancelling it loses nothing."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while self._disconnect is None:
            if (message := self._next()) is not None:
                return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}
            if self._disconnect is None:
                await self._change()
        return self._disconnect

    async def send(self, event: Message) -> None:
        """ASGI's `send`.

        Raises Disconnected (an OSError) if the connection is over, RuntimeError if the event is out of order.
        """
        kind = event["type"]
        if self._disconnect is not None or self._closing:
            raise Disconnected("the connection is closed")
        if kind == "websocket.send" and self._stream is not None:
            await self._send(event)
        elif kind == "websocket.close" and self._stream is not None:
            self.close(event.get("code") or frames.NORMAL, event.get("reason") or "")
        elif kind == "websocket.accept" and self._stream is None and self._response is None:
            self._accept(event)
        elif kind == "websocket.close" and self._response is None:
            self._refuse(403)
        elif kind.startswith("websocket.http.response.") and self._stream is None:
            await self._respond(event)
        else:
            raise RuntimeError(f"{kind} out of order")

    def hand_over_to(self, receiver: Receiver) -> None:
        """Give each further message to `receiver`, beginning when the application has returned."""
        self._receiver = receiver

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame after everything that was sent before, and nothing after it.

        The client has the `close_timeout` to answer; `receive`, or the receiver, then learns of the end.
        """
        stream = self._stream
        if not self._closing and stream is not None and not stream.closed():
            self._queue.send(frames.close_frame(code, reason))
            self._queue.flush()
            self._queue.close()
            self._expect_end()

    @property
    def is_open(self) -> bool:
        """Whether what is sent now is still going to the client."""
        return self._stream is not None and not self._queue.closed

    @property
    def pending(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._queue.pending

    # From the handshake to the end.

    async def _run(self) -> None:
        code = frames.NORMAL
        try:
            await self._host.app(self._scope, self.receive, self.send)
            # Not in a method of its own: each coroutine in between costs every message a call.
            while (receiver := self._receiver) is not None and self._disconnect is None:
                if (message := self._next()) is not None:
                    await receiver.receive(message)
                elif self._disconnect is None:
                    await self._change()
        except Disconnected:
            pass
        except ProtocolViolation as violation:
            code = violation.status
            self._over(code, str(violation))
            self.close(code, str(violation))
        except asyncio.CancelledError:
            self._drop()
            raise
        except Exception:
            log.exception("The application failed at %s", self._scope["path"])
            code = frames.INTERNAL_ERROR
        finally:
            await self._tell_receiver(code)
        if self._stream is not None:
            await self._finish_closing(code)
        elif self._disconnect is None:
            self._answer_unanswered()
        self._scope["extensions"].clear()  # the scope leads back here: reference cycles would keep memory for long

    async def _tell_receiver(self, code: int) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._over(code)
            assert self._disconnect is not None
            try:
                await receiver.disconnected(self._disconnect["code"], self._disconnect["reason"])
            except Exception:
                log.exception("The application failed at the end of %s", self._scope["path"])
            self.close(code)

    def _accept(self, event: Message) -> None:
        assert self._connection is not None
        head = switching_protocols(self._key, event)
        stream = self._connection.detach()
        self._connection = None
        stream.set_nodelay(True)
        stream.read_chunk_size = READ_SIZE
        stream.set_close_callback(self._closed)
        self._stream = stream
        self._reader = frames.FrameReader(self._host.max_message_size)
        self._queue = SendQueue(self._host.outbox, stream, self._overflowed)
        self.send_frame = self._queue.send
        self._queue.send(head)
        self._schedule_ping()

    async def _send(self, event: Message) -> None:
        data = event.get("bytes")
        data = frames.text_frame(event["text"].encode()) if data is None else frames.binary_frame(bytes(data))
        self._queue.send(data)
        self._burst += len(data)
        if self._burst > SEND_BUFFER:
            self._burst = 0
            await self._queue.drain()

    def _next(self) -> str | bytes | None:
        """The next message that has been received; control frames before it are answered."""
        try:
            for message in self._messages:
                if isinstance(message, (str, bytes)):
                    if not self._closing:
                        return message
                elif isinstance(message, frames.Ping):
                    if not self._closing:
                        self._queue.send(frames.frame(frames.PONG, message.payload))
                elif isinstance(message, frames.Close):
                    self._answer_close(message)
        except ProtocolViolation as violation:
            self._over(violation.status, str(violation))
            self.close(violation.status, str(violation))
            # After a violation the client's answer to our close cannot be recognised: end our half of the connection.
            self._when_written(self._end_output)
        self._messages = iter(())
        return None

    def _change(self) -> asyncio.Future[None]:
        """A future that is done when something has been received, or the connection is over."""
        self._changed = changed = asyncio.get_running_loop().create_future()
        if self._stream is not None and self._read is None:
            try:
                read: Any = self._stream.read_bytes(READ_SIZE, partial=True)  # a Future, though declared an Awaitable
            except StreamClosedError:
                self._over(frames.ABNORMAL)
                self._wake()
            else:
                self._read = read
                read.add_done_callback(self._received)
        return changed

    def _received(self, read: asyncio.Future[bytes]) -> None:
        self._read = None
        self._silent = False
        if not read.cancelled() and read.exception() is None:
            self._messages = self._reader.receive(read.result())
        if (changed := self._changed) is not None and not changed.done():  # `_wake`, without the call
            changed.set_result(None)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    # The heartbeat (RFC 6455 section 5.5.2).

    def _schedule_ping(self) -> None:
        if self._host.ping_interval is not None and self._stream is not None and not self._stream.closed():
            self._set_timer(self._host.ping_interval, self._ping)

    def _ping(self) -> None:
        """Ping the client, or find that it has not answered the last ping."""
        if self._queue.pending or self._read is None:
            self._silent = False  # the client may not have seen the ping, or the application not have let us read
        elif self._silent:
            self._set_timer(RECHECK_DELAY, self._recheck)
            return
        else:
            self._silent = True
            self._queue.send(frames.frame(frames.PING, b""))
        self._schedule_ping()

    def _recheck(self) -> None:
        if not self._silent:
            self._schedule_ping()
            return
        self._over(frames.ABNORMAL, "no answer to a ping")
        self.close(frames.INTERNAL_ERROR, "no answer to a ping")
        self._wake()

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._host.timers.call_later(seconds, callback)

    # The end.

    def _answer_close(self, close: frames.Close) -> None:
        """The client closes, or answers our close; then the server closes the connection (RFC 6455 section 7.1.1)."""
        self._over(close.code, close.reason)
        self.close(close.code)
        self._when_written(self._drop)

    def _when_written(self, then: Callable[[], None]) -> None:
        if self._stream is not None and not self._stream.closed():
            self._stream.write(b"").add_done_callback(lambda _: then())

    def _end_output(self) -> None:
        """End our half only: closing the connection over what the client still sends would lose the close frame."""
        with suppress(OSError):
            if self._stream is not None and not self._stream.closed():
                self._stream.socket.shutdown(socket.SHUT_WR)

    def _overflowed(self, reason: str) -> None:
        """The client does not read. The close frame is the last thing that it will find when it does."""
        self._over(frames.POLICY, reason)
        if self._stream is not None and not self._stream.closed():
            self._stream.write(frames.close_frame(frames.POLICY, reason))
            self._expect_end()
        self._wake()

    def _expect_end(self) -> None:
        self._closing = True
        self._set_timer(self._host.close_timeout, self._drop)

    async def _finish_closing(self, code: int) -> None:
        """The application is done: close, if that has not been done, and wait until the connection is over."""
        assert self._stream is not None
        if self._disconnect is None:
            self.close(code)
        while not self._stream.closed():
            # Read and drop what still arrives: closing over unread bytes would reset the connection, and the close
            # frame would be lost with it.
            self._next()
            if not self._stream.closed():
                await self._change()

    def _answer_unanswered(self) -> None:
        """The application has returned without answering the handshake."""
        if self._response is None or not self._response.started:
            self._refuse(500)
        elif not self._response.complete:
            self._response.break_off()

    def _refuse(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        assert self._connection is not None
        self._response = Response(self._connection, self._scope, self._host.outbox)
        self._response.error(status, *headers)
        self._response.finish()
        self._over(frames.ABNORMAL)

    async def _respond(self, event: Message) -> None:
        """The extension `websocket.http.response`: the application's own refusal."""
        assert self._connection is not None
        if self._response is None:
            self._response = Response(self._connection, self._scope, self._host.outbox)
        await self._response.send(event)
        if self._response.complete:
            self._response.finish()
            self._over(frames.ABNORMAL)

    def _over(self, code: int, reason: str = "") -> None:
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _closed(self) -> None:
        """The stream is closed; what was received before can still be taken."""
        self._queue.close()
        if self._timer is not None:
            self._timer.cancel()
        self._wake()
