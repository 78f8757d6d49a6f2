"""What carries an Engine.IO session's frames: long-polling, or a WebSocket. Neither `send` blocks, raises or grows."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from webchat.net.engineio.http import Refusal, Request
from webchat.net.engineio.payload import engine_packets
from webchat.net.frames import POLICY

SEND_QUEUE = "webchat.send_queue"
"""The ASGI extension of our own bridge: a queue that takes ready-made frames."""


CLOSE_TIME = 5.0
"""Seconds that a client has to take the last frame."""


class Polling:
    """Frames wait here for the client's next request, `limit` bytes of them at most."""

    __slots__ = ("_frames", "_limit", "_on_overflow", "_poll", "_size")

    name = "polling"

    def __init__(self, limit: int, on_overflow: Callable[[str], None]):
        self._limit = limit
        self._on_overflow = on_overflow
        self._frames: list[bytes] = []
        self._size = 0
        self._poll: asyncio.Future | None = None

    def send(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > self._limit:
            self.take()
            self._on_overflow(f"more than {self._limit} bytes are waiting to be fetched")
        elif self.busy:
            self._poll.set_result(None)

    @property
    def busy(self) -> bool:
        """Whether a request waits for frames."""
        return self._poll is not None and not self._poll.done()

    def take(self) -> bytes:
        """All that waits."""
        frames, self._frames, self._size = b"".join(self._frames), [], 0
        return frames

    async def poll(self, patience: float | None = None) -> bytes:
        """All that waits, or will next; nothing after `patience` seconds. Raises Refusal after an upgrade."""
        if not self._frames:
            self._poll = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(patience):
                    last = await self._poll
            except TimeoutError:
                return b""
            finally:
                self._poll = None
            if last is not None:
                return last
        return self.take()

    def end(self, last: bytes) -> bool:
        """Answer the waiting request with all that waits and these last frames; False if there is none."""
        if not self.busy:
            return False
        self._poll.set_result(self.take() + last)
        return True

    def hand_over(self) -> bytes:
        """All that waits, for the WebSocket that takes over. A request that should have ended before is refused."""
        if self.busy:
            self._poll.set_exception(Refusal("The session has been upgraded"))
        return self.take()


class WebSocket:
    """A WebSocket that has been accepted; `send` is the queue's own, `receive` is ASGI's."""

    __slots__ = ("_asgi_send", "_closing", "_queue", "_spawn", "gone", "receive", "send")

    name = "websocket"

    def __init__(
        self,
        request: Request,
        limit: int,
        patience: float,
        spawn: Callable[[Any], Any],
        on_overflow: Callable[[str], None],
    ):
        self.receive = request.receive
        extension = (request.scope.get("extensions") or {}).get(SEND_QUEUE)
        if extension is not None:
            self._queue = extension["queue"]
        else:
            self._queue = Writer(request.send, limit, patience, spawn, on_overflow)
        self.send: Callable[[bytes], None] = self._queue.send
        self._asgi_send = request.send
        self._spawn = spawn
        self._closing: asyncio.Task | None = None
        self.gone = False  # the client has closed, or is lost

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent before, without waiting for it; ASGI's `receive` then tells the end."""
        if self.gone or self._closing is not None:
            return
        event = {"type": "websocket.close", "code": code, "reason": reason}
        finish = self._queue.finish(event) if isinstance(self._queue, Writer) else _quietly(self._asgi_send, event)
        self._closing = self._spawn(finish)

    async def closed(self) -> None:
        """Returns when the close frame has been sent: an application that ends before has none of its own."""
        if self._closing is not None:
            await asyncio.wait([self._closing])


class Writer:
    """A send queue over ASGI's `send`, for servers that take messages and not frames.

    One task, while there is something to write. Over `limit` bytes, or with one message not taken for `patience`
    seconds, `on_overflow` is called, what waits is dropped, and nothing more is taken.
    """

    __slots__ = ("_asgi_send", "_frames", "_last", "_limit", "_on_overflow", "_patience", "_size", "_spawn", "_writing")

    def __init__(
        self,
        asgi_send: Callable,
        limit: int,
        patience: float,
        spawn: Callable[[Any], Any],
        on_overflow: Callable[[str], None],
    ):
        self._asgi_send = asgi_send
        self._limit = limit
        self._patience = patience
        self._spawn = spawn
        self._on_overflow = on_overflow
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._last: dict | None = None
        self._writing: asyncio.Task | None = None

    def send(self, frame: bytes) -> None:
        if self._last is not None:
            return
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > self._limit:
            self._overflow(f"more than {self._limit} bytes are waiting to be read")
        self._start()

    async def finish(self, event: dict) -> None:
        """Send this close event after all that is queued, and nothing after it."""
        self._last = self._last or event
        self._start()
        await asyncio.wait([self._writing])

    def _start(self) -> None:
        if self._writing is None:
            self._writing = self._spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._frames:
                frame = self._frames.popleft()
                self._size -= len(frame)
                for packet in engine_packets(frame):
                    async with asyncio.timeout(self._patience):
                        await self._asgi_send(_message(packet))
        except TimeoutError:
            self._overflow(f"nothing was read for {self._patience:g} seconds")
        except Exception:  # servers differ in what they raise for a client that is gone
            self._frames.clear()
        if self._last is not None:
            await _quietly(self._asgi_send, self._last)
        self._writing = None

    def _overflow(self, reason: str) -> None:
        self._frames.clear()
        self._last = {"type": "websocket.close", "code": POLICY, "reason": reason}
        self._on_overflow(reason)


def _message(packet: str | bytes) -> dict:
    return {"type": "websocket.send", "text" if isinstance(packet, str) else "bytes": packet}


async def _quietly(asgi_send: Callable, event: dict) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIME):
            await asgi_send(event)
    except Exception:  # the connection is over already, which is all that was wanted
        pass
