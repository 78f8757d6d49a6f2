"""Rate limits. They need no timers: tokens and expiry are worked out from the time of each call."""

from collections import OrderedDict, deque
from collections.abc import Hashable

LOGIN_TIME = 10.0
"""Seconds that a program has to log in."""

TYPED_LOGIN_TIME = 60.0
"""Seconds without a complete line after which a TCP connection that has not logged in is closed.

It is longer than `LOGIN_TIME` because people type the name by hand.
"""

LOGIN_TRIES = 10
"""Refused logins after which a connection is closed."""


class TokenBucket:
    """Allows `burst` things at once (at least one), and `rate` a second in the long run. Rate 0 means no limit."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float):
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._tokens = self._burst
        self._updated = float("-inf")

    def take(self, now: float) -> bool:
        """Take a token, and return whether there was one. `now` is the time in seconds, from any origin."""
        if not self._rate:
            return True
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SlidingWindow:
    """Counts recent events for many keys: a key with `limit` events in the last `seconds` is full.

    It holds at most `capacity` keys: those with the latest events. Times are in seconds, from any origin.
    """

    def __init__(self, limit: int, seconds: float, capacity: int = 10_000):
        self._limit = limit
        self._seconds = seconds
        self._capacity = capacity
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def add(self, key: Hashable, now: float) -> None:
        """Count one event."""
        self._times.setdefault(key, deque(maxlen=self._limit)).append(now)
        self._times.move_to_end(key)
        while len(self._times) > self._capacity or self._has_expired(self._oldest()[-1], now):
            self._times.popitem(last=False)

    def is_full(self, key: Hashable, now: float) -> bool:
        """Return whether `limit` events were counted in the last `seconds`."""
        times = self._times.get(key)
        return times is not None and len(times) == self._limit and not self._has_expired(times[0], now)

    def __len__(self) -> int:
        return len(self._times)

    def _oldest(self) -> deque[float]:
        return next(iter(self._times.values()))

    def _has_expired(self, time: float, now: float) -> bool:
        return now - time >= self._seconds
