"""The time limits of the Redis backplane, and a clock that does not count time in which the process was suspended."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits, all in seconds."""

    reply_timeout: float = 1.0
    """A Redis that takes longer than this for a reply counts as unreachable."""
    heartbeat: float = 1.0
    """Interval between two heartbeats of a node."""
    lease: float = 6.0
    """A node whose last heartbeat is older than this counts as dead."""
    grace_period: float = 1.0
    """After a reconnect, nodes have this long to claim their names again before new names are given out."""
    backoff: tuple[float, float] = (0.05, 0.5)
    """Delay before the first attempt to reconnect, and the longest delay; it doubles in between."""
    record_lifetime: float = 600.0
    """Redis deletes a name's record that no node has renewed for this long."""
    log_interval: float = 10.0
    """Shortest interval between two log lines about a connection that comes and goes."""


class AwakeClock:
    """Seconds for which this process has been running, measured by calls of `tick`.

    A process that was suspended (SIGSTOP, a laptop that slept) received no heartbeat in that time. By this clock the
    time did not pass, so the process does not take the other nodes for dead when it resumes. One tick adds at most
    `max_step` seconds; `monotonic` gives seconds from any origin.
    """

    def __init__(self, max_step: float, monotonic: Callable[[], float] = time.monotonic):
        self._max_step = max_step
        self._monotonic = monotonic
        self._last = monotonic()
        self._elapsed = 0.0

    def __call__(self) -> float:
        """The seconds counted so far."""
        return self._elapsed

    def tick(self) -> None:
        """Count the time since the last tick."""
        now = self._monotonic()
        self._elapsed += min(now - self._last, self._max_step)
        self._last = now
