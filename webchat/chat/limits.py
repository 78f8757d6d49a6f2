"""Limits in time. They need no timers: tokens, pauses and expiry are worked out from the time of each call."""

from collections import OrderedDict, deque
from collections.abc import Hashable

LOGIN_TIME = 10.0
"""Seconds that a connection has to log in, however often it tries."""

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

    def give_back(self) -> None:
        """Undo a `take`."""
        self._tokens = min(self._burst, self._tokens + 1)

    def is_full(self, now: float) -> bool:
        """Return whether it is as good as a new one."""
        return not self._rate or self._tokens + (now - self._updated) * self._rate >= self._burst


class SlidingWindow:
    """Counts recent events for many keys: a key with `limit` events in the last `seconds` has to wait.

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
        while len(self._times) > self._capacity or now - self._oldest()[-1] >= self._seconds:
            self._times.popitem(last=False)

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until fewer than `limit` events were counted in the last `seconds`; 0 if it is so now."""
        times = self._times.get(key)
        return max(0.0, times[0] + self._seconds - now) if times and len(times) == self._limit else 0.0

    def __len__(self) -> int:
        return len(self._times)

    def _oldest(self) -> deque[float]:
        return next(iter(self._times.values()))


class GrowingPauses:
    """Pauses between events for many keys: none before `free` events, then 1 s, 2 s, 4 s … and at most `longest`.

    A key starts anew after `memory` seconds without an event. At most `capacity` keys are held: those with the latest
    events. Times are in seconds, from any origin.
    """

    def __init__(self, free: int, longest: float, memory: float = 600.0, capacity: int = 10_000):
        self._free = free
        self._longest = longest
        self._memory = memory
        self._capacity = capacity
        self._events: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()  # the number, and the time of the last

    def add(self, key: Hashable, now: float) -> None:
        """Count one event."""
        self._events[key] = (self._count(key, now) + 1, now)
        self._events.move_to_end(key)
        while len(self._events) > self._capacity or now - self._oldest() >= self._memory:
            self._events.popitem(last=False)

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until the pause after the last event is over; 0 if it is, or if there was none."""
        if (beyond := self._count(key, now) - self._free) < 0:
            return 0.0
        pause = min(2.0 ** min(beyond, 60), self._longest)
        return max(0.0, self._events[key][1] + pause - now)

    def __len__(self) -> int:
        return len(self._events)

    def _count(self, key: Hashable, now: float) -> int:
        count, last = self._events.get(key, (0, now))
        return count if now - last < self._memory else 0

    def _oldest(self) -> float:
        return next(iter(self._events.values()))[1]
