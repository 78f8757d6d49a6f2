"""Message ids: a hybrid logical clock, so that ids sort in the order of sending."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress


class Ids:
    """Calling it gives the next `(id, time)`; time in ms since the Unix epoch.

    An id is 24 hexadecimal digits: 48 bits of milliseconds, 16 of a counter, 32 that tell processes apart. It sorts as
    text. Ids of one process always grow, also when the machine's clock is set back; `time` is what the clock says.
    """

    def __init__(self, clock: Callable[[], float] = time.time, node: str | None = None):
        """`clock` gives seconds since the epoch; `node` is 8 hexadecimal digits, random by default."""
        self._clock = clock
        self._node = node or secrets.token_hex(4)
        self._last = 0

    def __call__(self) -> tuple[str, int]:
        now = int(self._clock() * 1000)
        self._last = max(self._last + 1, now << 16)
        return f"{self._last:016x}{self._node}", now

    def heard(self, id: str) -> None:
        """An id of another process: ours that follow sort after it, whatever the two machines' clocks say."""
        with suppress(ValueError):
            self._last = max(self._last, int(id[:16], 16))
