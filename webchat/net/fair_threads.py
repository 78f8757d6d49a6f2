"""Threads for slow functions, shared fairly: whoever asks for much waits for it, and nobody else does."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class FairThreads:
    """Runs functions in at most `threads` threads. Where more wait, their owners take turns, one function each."""

    def __init__(self, threads: int, name: str):
        self._executor = ThreadPoolExecutor(threads, name)
        self._free = threads
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()  # the next owner first

    async def run(self, owner: Hashable, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function in a thread when it is the owner's turn, and return its result."""
        await self._turn(owner)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))
        finally:
            self._pass_on()

    def stop(self) -> None:
        """Run nothing more; return at once."""
        self._executor.shutdown(wait=False)

    async def _turn(self, owner: Hashable) -> None:
        """Wait for a thread."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it had just come
            raise

    def _pass_on(self) -> None:
        """Give a thread that has become free to the next owner who waits."""
        while self._waiting:
            owner, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[owner] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
