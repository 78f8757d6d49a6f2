"""The clock and the timers of an event loop, as a seam: tests pass time instead of waiting for it."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Do not call it."""


class Timers(Protocol):
    """What is used of an asyncio event loop; times are seconds of any origin."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> Timer: ...

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer: ...
