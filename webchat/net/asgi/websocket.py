"""One WebSocket of an ASGI application inside Tornado.

All that leaves goes through one `SendQueue`, the handshake included, so that the order holds. The application may ask
for that queue and put ready-made frames into it, shared with other connections: after `websocket.accept`,
`scope["extensions"]["webchat.send_queue"]["queue"]` is it, and `["close"](code, reason)` closes without a coroutine.

What arrives is read when the application asks for it, so that one that lags holds its client back, and an idle
connection costs no task but the application's own.
"""

import asyncio
import base64
import binascii
import hashlib
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, RequestStartLine
from tornado.iostream import IOStream, StreamClosedError

from webchat.net import frames
from webchat.net.asgi.http import Disconnected, Response
from webchat.net.errors import ProtocolViolation
from webchat.net.outbox import SendQueue

if TYPE_CHECKING:
    from webchat.net.asgi import Mount

log = logging.getLogger(__name__)

CLOSE_TIME = 5.0
"""Seconds that a client has to answer a close frame, or to read the one that says why it is cut off."""

DOUBT = 0.1
"""Seconds between finding a ping unanswered and acting on it: after a stall of ours the pong may lie there unread."""

READ_SIZE = 16 * 1024
"""Bytes read at once. Tornado allocates and clears as many for each read."""

HIGH_WATER = 64 * 1024
"""Bytes sent by the application after which it waits for a client that does not keep up."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

SEND_QUEUE = "webchat.send_queue"


def is_handshake(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether a request asks for a WebSocket; whether it does so correctly is another question."""
    return (
        start_line.method == "GET"
        and "websocket" in _tokens(headers, "Upgrade")
        and "upgrade" in _tokens(headers, "Connection")
    )


class WebSocket:
    """One connection, from the handshake's request to the end."""

    __slots__ = (
        "__weakref__", "_app", "_burst", "_closing", "_connected", "_connection", "_disconnect", "_messages", "_mount",
        "_news", "_queue", "_read", "_reader", "_refusal", "_response", "_scope", "_silent", "_stream", "_timer",
    )

    def __init__(self, mount: "Mount", connection: HTTP1Connection, scope: dict, headers: HTTPHeaders):
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = [word.strip() for word in headers.get("Sec-WebSocket-Protocol", "").split(",") if word]
        scope["extensions"] = {"websocket.http.response": {}, SEND_QUEUE: {}}
        del scope["method"]
        self._mount = mount
        self._scope = scope
        self._refusal = _refusal(headers)
        self._connection: HTTP1Connection | None = connection  # until the handshake is answered with 101
        self._response: Response | None = None  # if it is answered with something else
        self._connected = False  # the application has received its first event
        self._stream: IOStream | None = None
        self._queue: SendQueue | None = None
        self._reader: frames.FrameReader | None = None
        self._messages: Iterable = ()  # that have arrived, parsed as the application asks for them
        self._read: asyncio.Future | None = None
        self._news: asyncio.Future | None = None
        self._burst = 0  # bytes sent since the client was last known to keep up
        self._closing = False  # a close frame has been sent
        self._disconnect: dict | None = None  # the application's last event
        self._silent = False  # nothing has come since the last ping
        self._timer: asyncio.TimerHandle | None = None  # to the next ping, or once it closes to the end
        connection.set_close_callback(self.disconnected)

    # While the connection speaks HTTP, Tornado calls these three.

    def data_received(self, chunk: bytes) -> None:
        """A handshake has no body; one that comes nevertheless is dropped."""

    def finish(self) -> None:
        """The request has arrived."""
        if self._refusal:
            self._refuse(*self._refusal)
        else:
            self._mount.start(self._run())

    def disconnected(self) -> None:
        """The client went away before it was answered."""
        self._over(frames.ABNORMAL)
        _resolve(self._news)

    # The application calls these two.

    async def receive(self) -> dict:
        """ASGI's `receive`; cancelling it loses nothing."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while self._disconnect is None:
            if (message := self._next()) is not None:
                return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}
            if self._disconnect is None:
                await self._more()
        return self._disconnect

    async def send(self, event: dict) -> None:
        """ASGI's `send`.

        Raises Disconnected (an OSError) if the connection is over, RuntimeError if the event is out of order.
        """
        kind = event["type"]
        if self._disconnect is not None or self._closing:
            raise Disconnected("the connection is closed")
        if kind == "websocket.send" and self._queue is not None:
            await self._send(event)
        elif kind == "websocket.close" and self._queue is not None:
            self._close(event.get("code") or frames.NORMAL, event.get("reason") or "")
        elif kind == "websocket.accept" and self._stream is None and self._response is None:
            self._accept(event)
        elif kind == "websocket.close" and self._response is None:
            self._refuse(403)
        elif kind.startswith("websocket.http.response.") and self._stream is None:
            await self._respond(event)
        else:
            raise RuntimeError(f"{kind} out of order")

    # Inside.

    async def _run(self) -> None:
        code = frames.NORMAL
        try:
            await self._mount.app(self._scope, self.receive, self.send)
        except Disconnected:
            pass
        except asyncio.CancelledError:
            self._drop()
            raise
        except Exception:
            log.exception("the application failed at %s", self._scope["path"])
            code = frames.INTERNAL_ERROR
        if self._stream is not None:
            await self._leave(code)
        elif self._disconnect is None:
            self._abandon()

    def _accept(self, event: dict) -> None:
        head = _switching_protocols(self._scope, event)
        stream = self._connection.detach()
        self._connection = None
        stream.set_nodelay(True)
        stream.read_chunk_size = READ_SIZE
        stream.set_close_callback(self._closed)
        self._stream = stream
        self._reader = frames.FrameReader(self._mount.max_message_size)
        self._queue = SendQueue(self._mount.outbox, stream, self._overflowed)
        self._scope["extensions"][SEND_QUEUE].update(queue=self._queue, close=self._close)
        self._queue.send(head)
        self._ping_later()

    async def _send(self, event: dict) -> None:
        data = event.get("bytes")
        data = frames.text_frame(event["text"].encode()) if data is None else frames.binary_frame(bytes(data))
        self._queue.send(data)
        self._burst += len(data)
        if self._burst > HIGH_WATER:
            self._burst = 0
            await self._queue.drain()

    def _next(self) -> str | bytes | None:
        """The next message of those that have arrived; control frames on the way to it are dealt with."""
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
            self._close(violation.status, str(violation))
            # Its answer to our close can no longer be told from what it breaks the protocol with: we end our half.
            self._after_all_is_sent(self._end_output)
        self._messages = ()
        return None

    async def _more(self) -> None:
        """Wait until something has arrived, or the connection is over."""
        if self._stream is not None and self._read is None:
            try:
                self._read = self._stream.read_bytes(READ_SIZE, partial=True)
            except StreamClosedError:
                self._over(frames.ABNORMAL)
                return
            self._read.add_done_callback(self._arrived)
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _arrived(self, read: asyncio.Future) -> None:
        self._read = None
        self._silent = False
        if not read.cancelled() and read.exception() is None:
            self._messages = self._reader.receive(read.result())
        _resolve(self._news)

    def _ping_later(self) -> None:
        if self._mount.ping_interval is not None and not self._stream.closed():
            self._set_timer(self._mount.ping_interval, self._ping)

    def _ping(self) -> None:
        """Ask whether the client is still there. One that has not answered by the next time is not."""
        if self._queue.pending or self._read is None:
            self._silent = False  # it may not have seen the ping yet, or we not its answer
        elif self._silent:
            self._set_timer(DOUBT, self._give_up)
            return
        else:
            self._silent = True
            self._queue.send(frames.frame(frames.PING, b""))
        self._ping_later()

    def _give_up(self) -> None:
        if not self._silent:
            self._ping_later()
            return
        self._over(frames.ABNORMAL, "no answer to a ping")
        self._close(frames.INTERNAL_ERROR, "no answer to a ping")
        _resolve(self._news)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _answer_close(self, close: frames.Close) -> None:
        """The client closes, or answers our close: the server hangs up (RFC 6455 section 7.1.1)."""
        self._over(close.code, close.reason)
        self._close(close.code)
        self._after_all_is_sent(self._drop)

    def _after_all_is_sent(self, then: Callable[[], None]) -> None:
        if not self._stream.closed():
            self._stream.write(b"").add_done_callback(lambda _: then())

    def _end_output(self) -> None:
        """Clients see the end at once; closing altogether over what they still send would lose the close frame."""
        with suppress(OSError):
            if not self._stream.closed():
                self._stream.socket.shutdown(socket.SHUT_WR)

    def _close(self, code: int, reason: str = "") -> None:
        """Send a close frame after all that was sent before it and nothing after it; the client may take a while."""
        if not self._closing:
            self._queue.send(frames.close_frame(code, reason))
            self._queue.flush()
            self._queue.close()
            self._hang_up_later()

    def _overflowed(self, reason: str) -> None:
        """The client does not read. The close frame is the last that it will find when it does."""
        self._over(frames.POLICY, reason)
        if not self._stream.closed():
            self._stream.write(frames.close_frame(frames.POLICY, reason))
            self._hang_up_later()
        _resolve(self._news)

    def _hang_up_later(self) -> None:
        self._closing = True
        self._set_timer(CLOSE_TIME, self._drop)

    async def _leave(self, code: int) -> None:
        """The application is done: close if that has not been done, and stay until the connection is over."""
        if self._disconnect is None:
            self._close(code)
        while not self._stream.closed():
            # What still comes is read, and dropped: closing over unread bytes would reset the connection, and the
            # close frame would be lost with it.
            self._next()
            if not self._stream.closed():
                await self._more()

    def _abandon(self) -> None:
        """The application is done without having answered the handshake."""
        if self._response is None or not self._response.started:
            self._refuse(500)
        elif not self._response.complete:
            self._response.break_off()

    def _refuse(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        self._response = Response(self._connection, self._scope, self._mount.outbox)
        self._response.error(status, *headers)
        self._response.finish()
        self._over(frames.ABNORMAL)

    async def _respond(self, event: dict) -> None:
        """The extension `websocket.http.response`: the application's own refusal."""
        if self._response is None:
            self._response = Response(self._connection, self._scope, self._mount.outbox)
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
        """The stream is closed; what has arrived before can still be received."""
        self._queue.close()
        if self._timer is not None:
            self._timer.cancel()
        _resolve(self._news)


def _tokens(headers: HTTPHeaders, name: str) -> list[str]:
    return [word.strip().lower() for word in headers.get(name, "").split(",")]


def _refusal(headers: HTTPHeaders) -> tuple | None:
    """What a malformed handshake is answered with (RFC 6455 sections 4.2.1 and 4.4)."""
    if headers.get("Sec-WebSocket-Version") != "13":
        return 426, (b"sec-websocket-version", b"13")
    try:
        nonce = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    return None if len(nonce) == 16 else (400,)


def _switching_protocols(scope: dict, event: dict) -> bytes:
    """The answer that accepts a handshake. Raises ValueError where the application's headers are none."""
    key = next(value for name, value in scope["headers"] if name == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept,
    ]
    if event.get("subprotocol"):
        lines.append(b"Sec-WebSocket-Protocol: " + event["subprotocol"].encode("latin-1"))
    lines += [name + b": " + value for name, value in event.get("headers") or ()]
    if any(byte in line for line in lines for byte in b"\r\n\0"):
        raise ValueError("a line break in a header")
    return b"\r\n".join([*lines, b"", b""])


def _resolve(future: asyncio.Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
