"""How much work a decoder does, counted instead of timed."""

import gc
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType, ModuleType
from typing import Any

Text = str | bytes | bytearray

QUICK = {"append", "extend", "startswith", "endswith", "join"}
"""Methods of texts that do not look at the whole text."""


class Work:
    """Characters that have been looked at or copied."""

    def __init__(self) -> None:
        self.characters = 0


class CountingPattern:
    """A compiled pattern that counts all of the text that it is given."""

    def __init__(self, pattern: re.Pattern[Any], work: Work):
        self._pattern = pattern
        self._work = work

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(text: Text, start: int = 0) -> Any:
            self._work.characters += len(text) - start
            return getattr(self._pattern, name)(text, start)
        return call


@contextmanager
def counting(modules: Iterable[ModuleType]) -> Iterator[Work]:
    """Count what the patterns of these modules and the methods of texts look at.

    A method counts its whole text, even if it is told where to begin. Comparisons, slices and sums of texts are not
    seen here; `work_per_segment` finds those that a decoder keeps.
    """
    work = Work()
    patterns = [(module, name, value) for module in modules for name, value in vars(module).items()
                if isinstance(value, re.Pattern)]

    def profile(frame: FrameType, event: str, called: Any) -> None:
        text = getattr(called, "__self__", None)
        if event == "c_call" and isinstance(text, Text) and called.__name__ not in QUICK:
            work.characters += len(text)

    for module, name, pattern in patterns:
        setattr(module, name, CountingPattern(pattern, work))
    sys.setprofile(profile)
    try:
        yield work
    finally:
        sys.setprofile(None)
        for module, name, pattern in patterns:
            setattr(module, name, pattern)


def held_texts(owner: object) -> dict[int, Text]:
    """The texts that are reachable from an object, by their identity."""
    found: dict[int, Text] = {}
    seen: set[int] = set()
    waiting = [owner]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, Text):
            found[id(each)] = each
        waiting += gc.get_referents(each)
    return found


def work_per_segment(decoder: object, read: Callable[[bytes], object], segments: list[bytes],
                     modules: Iterable[ModuleType]) -> float:
    """The characters that a decoder looks at or copies for each of these segments, on average.

    What it keeps after a segment, and did not keep before, counts as copied.
    """
    modules, characters = list(modules), 0
    before = held_texts(decoder)
    for segment in segments:
        with counting(modules) as work:
            read(segment)
        after = held_texts(decoder)
        characters += work.characters + sum(len(text) for key, text in after.items() if key not in before)
        before = after
    return characters / len(segments)
