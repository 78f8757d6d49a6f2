"""A clock with timers whose time passes only when a test says so."""

from collections.abc import Callable
from typing import Any


class FakeTimer:
    def __init__(self, when: float, callback: Callable[..., Any], args: tuple[Any, ...]):
        self.when = when
        self.call = lambda: callback(*args)
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeTimers:
    """See `webchat.net.timers.Timers`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> FakeTimer:
        timer = FakeTimer(when, callback, args)
        self.timers.append(timer)
        return timer

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> FakeTimer:
        return self.call_at(self.now + delay, callback, *args)

    def running(self) -> list[FakeTimer]:
        """The timers that are still to go off, the next one first."""
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        return sorted(self.timers, key=lambda timer: timer.when)

    def advance(self, seconds: float) -> None:
        """Let this much time pass; what becomes due is called, in order, at its own time."""
        end = self.now + seconds
        while (due := self.running()) and due[0].when <= end:
            self.timers.remove(due[0])
            self.now = max(self.now, due[0].when)
            due[0].call()
        self.now = end

    def stall(self, seconds: float) -> None:
        """Let time pass in which nothing runs: what is due then is late."""
        self.now += seconds
        self.advance(0)
