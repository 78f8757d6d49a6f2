"""The long-polling transport of an Engine.IO session: frames are kept until the client's next request."""

import asyncio
from collections.abc import Callable

from webchat.net.engineio.http import RequestError


def _ignore(reason: str) -> None:
    """The transport is closed."""


class PollingTransport:
    """Keeps frames for the client's next request, `limit` bytes of them at most; beyond, `on_overflow` is called.

    `send_frame` neither blocks nor raises.
    """

    __slots__ = ("_frames", "_limit", "_on_overflow", "_poll", "_size")

    def __init__(self, limit: int, on_overflow: Callable[[str], None]):
        self._limit = limit
        self._on_overflow = on_overflow
        self._frames: list[bytes] = []
        self._size = 0
        self._poll: asyncio.Future[bytes | None] | None = None

    def send_frame(self, frame: bytes) -> None:
        """Keep whole frames for the client, or answer the request that waits for them."""
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > self._limit:
            self.take()
            self._on_overflow(f"more than {self._limit} bytes are waiting to be fetched")
        elif self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    @property
    def is_polled(self) -> bool:
        """Whether a request waits for frames."""
        return self._poll is not None and not self._poll.done()

    def take(self) -> bytes:
        """Remove and return all frames."""
        frames, self._frames, self._size = b"".join(self._frames), [], 0
        return frames

    async def poll(self) -> bytes:
        """Return all frames, waiting for the first one. Raises RequestError if the session is upgraded meanwhile."""
        if not self._frames:
            self._poll = asyncio.get_running_loop().create_future()
            try:
                last = await self._poll
            finally:
                self._poll = None
            if last is not None:
                return last
        return self.take()

    def end_poll(self, last: bytes) -> bool:
        """Answer the waiting request with all frames and these last ones; return False if no request waits."""
        if self._poll is None or self._poll.done():
            return False
        self._poll.set_result(self.take() + last)
        return True

    def close(self) -> None:
        """Drop all frames; nothing more is sent."""
        self.take()
        self._on_overflow = _ignore  # it leads to the session, which leads back here

    def hand_over(self) -> bytes:
        """Remove and return all frames, for the WebSocket that takes over. A request that still waits is refused."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(RequestError("The session has been upgraded"))
        return self.take()
