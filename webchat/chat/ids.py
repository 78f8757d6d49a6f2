"""Message ids that sort in the order of sending: a hybrid logical clock (Kulkarni et al., 2014)."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress


class IdGenerator:
    """Makes message ids; the `webchat.chat.ports.Ids` of a hub.

    An id has 24 hexadecimal digits: 48 bits of milliseconds, 16 of a counter, 32 that differ between processes. It
    sorts as text. The ids of one process always increase, even when the machine's clock is set back.
    """

    def __init__(self, clock: Callable[[], float] = time.time, node: str | None = None):
        """`clock` returns seconds since the Unix epoch; `node` is 8 hexadecimal digits, random by default."""
        self._clock = clock
        self._node = node or secrets.token_hex(4)
        self._last = 0

    def __call__(self) -> tuple[str, int]:
        """Return the next id, and the time in ms since the Unix epoch as the clock tells it."""
        now = int(self._clock() * 1000)
        self._last = max(self._last + 1, now << 16)
        return f"{self._last:016x}{self._node}", now

    def observe(self, id: str) -> None:
        """Note an id of another process: later ids made here sort after it, even if that machine's clock is ahead.

        What is not an id is ignored.
        """
        with suppress(ValueError):
            self._last = max(self._last, int(id[:16], 16))
