"""Flood limits. They keep no timers: what time has made up for is reckoned when somebody asks."""

from collections import OrderedDict, deque
from collections.abc import Hashable

LOGIN_TIME = 10.0
"""Seconds that a program has for its login."""

TYPED_LOGIN_TIME = 60.0
"""Seconds without a complete line after which a connection without a name is closed; a person types it by hand."""

LOGIN_TRIES = 10
"""Refused logins after which a connection is closed."""


class TokenBucket:
    """Lets `burst` things through at once (at least one), and `rate` a second in the long run; rate 0 is no limit."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float):
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._tokens = self._burst
        self._updated = float("-inf")

    def take(self, now: float) -> bool:
        """Whether one more thing may pass at `now` (seconds, any origin)."""
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
    """Counts what happened lately to each of many: `limit` times in `seconds` is full.

    It remembers at most `capacity` of them, those that something last happened to.
    """

    def __init__(self, limit: int, seconds: float, capacity: int = 10_000):
        self._limit = limit
        self._seconds = seconds
        self._capacity = capacity
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def add(self, who: Hashable, now: float) -> None:
        """It has happened once more."""
        self._times.setdefault(who, deque(maxlen=self._limit)).append(now)
        self._times.move_to_end(who)
        while len(self._times) > self._capacity or self._is_over(self._oldest()[-1], now):
            self._times.popitem(last=False)

    def is_full(self, who: Hashable, now: float) -> bool:
        """Whether it has happened `limit` times in the last `seconds`."""
        times = self._times.get(who, ())
        return len(times) == self._limit and not self._is_over(times[0], now)

    def __len__(self) -> int:
        return len(self._times)

    def _oldest(self) -> deque[float]:
        return next(iter(self._times.values()))

    def _is_over(self, time: float, now: float) -> bool:
        return now - time >= self._seconds
