"""The way to one Redis and back: pipelined, bounded in time, and taken up again by itself."""

import asyncio
import logging
import math
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

log = logging.getLogger(__name__)

Command = tuple[Any, ...]

AT_ONCE = 500
"""Commands in one round trip."""

QUIET = 10.0
"""Seconds between two lines of the log about a link that comes and goes."""


class Unreachable(Exception):
    """Redis is away, or too slow to be of use."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A Redis that takes longer than `patience` for a reply counts as away."""

    patience: float = 1.0
    """that anybody waits for a reply"""
    beat: float = 1.0
    """between two signs of life of a node"""
    lease: float = 6.0
    """without a sign of life after which a node counts as dead"""
    settle: float = 1.0
    """after Redis came back in which every node claims its names again, before new ones are given out"""
    pauses: tuple[float, float] = (0.05, 0.5)
    """before the first and, doubled each time, before the later attempts to connect"""


class Link:
    """Two connections to one Redis: one takes commands, the other hears the channels that were subscribed to.

    `name` is what `CLIENT LIST` shows of them.
    `session` is run after each connecting and says what is to be done first; the link is lost when it raises.
    `collect` gives what is to be sent now, `heard` takes each message, `lost` is told when the link is gone.
    `send` and the subscriptions never block and never raise.
    """

    def __init__(self, url: str, name: str, timing: Timing, *, session: Callable[[], Awaitable[None]],
                 collect: Callable[[], Iterable[Command]], heard: Callable[[str, bytes], None],
                 lost: Callable[[], None], counts: Counter[str]):
        self.up = False
        self.problem = "not connected yet"
        self.tried = asyncio.Event()
        # Reads and writes are timed here: redis-py's `wait_for` loses a cancellation now and then on Python 3.11. The
        # name makes connecting wait for a reply: a Redis that only accepts is none.
        self._pool = ConnectionPool.from_url(url, protocol=2, client_name=name, driver_info=None, socket_timeout=None,
                                             socket_connect_timeout=timing.patience)
        self._timing = timing
        self._session, self._collect, self._heard, self._lost = session, collect, heard, lost
        self._queue: deque[tuple[Command, asyncio.Future | None]] = deque()
        self._work = asyncio.Event()
        self._wanted: set[str] = set()
        self._confirmed: dict[str, asyncio.Future] = {}
        self._subscriptions: deque[Command] = deque()
        self._counts = counts
        self._was_up = False
        self._said = -math.inf

    @property
    def database(self) -> int:
        """The number of the database in the URL; channels do not know it, names must."""
        return int(self._pool.connection_kwargs.get("db") or 0)

    # What the link is used for.

    def wake(self) -> None:
        """There is something to `collect`."""
        self._work.set()

    def send(self, *command: Any) -> None:
        """Have a command done when possible; while Redis is away, never."""
        if self.up:
            self._queue.append((command, None))
            self._work.set()

    def ask(self, *command: Any) -> asyncio.Future:
        """The reply to a command. It raises Unreachable: at once, or after `patience`; ResponseError, as Redis does."""
        reply = asyncio.get_running_loop().create_future()
        if self.up:
            self._queue.append((command, reply))
            self._work.set()
        else:
            _fail(reply, self.problem)
        return reply

    def flush(self) -> asyncio.Future:
        """Done when Redis has taken all that there was to send."""
        self._queue.extend((command, None) for command in self._collect())
        return self.ask("PING")

    def subscribe(self, channel: str) -> asyncio.Future:
        """Hear a channel from now on, also after a lost link; done when Redis has confirmed it. Raises Unreachable."""
        self._wanted.add(channel)
        confirmed = self._confirmed.get(channel)
        if confirmed is None or confirmed.cancelled():
            confirmed = self._confirmed[channel] = asyncio.get_running_loop().create_future()
            if self.up:
                self._subscriptions.append(("SSUBSCRIBE", channel))
                self._work.set()
        if not self.up and not confirmed.done():
            confirmed = asyncio.get_running_loop().create_future()
            _fail(confirmed, self.problem)
        return confirmed

    def unsubscribe(self, channel: str) -> None:
        self._wanted.discard(channel)
        if (confirmed := self._confirmed.pop(channel, None)) and not confirmed.done():
            confirmed.cancel()
        if self.up:
            self._subscriptions.append(("SUNSUBSCRIBE", channel))
            self._work.set()

    # How it is kept.

    async def run(self) -> None:
        """Keep the link, until cancelled."""
        first, longest = self._timing.pauses
        pause = first
        while True:
            try:
                await self._connected()
            except Exception as error:
                if not isinstance(error, RedisError | OSError | TimeoutError | Unreachable):
                    log.exception("The link to Redis is begun anew.")
                pause = first if self.up else pause
                self._down(str(error) or "no reply in time")
            finally:
                self._down("closed")
                self.tried.set()
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, longest)

    async def _connected(self) -> None:
        """Connect, and be of use until something fails."""
        commands, channels = self._pool.make_connection(), self._pool.make_connection()
        tasks: list[asyncio.Task] = []
        try:
            async with asyncio.timeout(self._timing.patience):
                await asyncio.gather(commands.connect(), channels.connect())
            self._open()
            tasks = [asyncio.create_task(each) for each in (
                self._write(commands, channels), self._read(channels), self._session())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _ended(tasks)
            for connection in (commands, channels):
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)

    def _open(self) -> None:
        self.up = True
        self._counts["reconnects"] += self._was_up
        self._was_up = True
        self._confirmed = {channel: asyncio.get_running_loop().create_future() for channel in self._wanted}
        self._subscriptions.extend(("SSUBSCRIBE", channel) for channel in self._wanted)
        self._work.set()

    def _down(self, problem: str) -> None:
        if not self.up:
            self.problem = problem if problem != "closed" else self.problem
            return
        self.up = False
        self.problem = problem
        replies = [reply for _, reply in self._queue if reply] + list(self._confirmed.values())
        self._queue.clear()
        self._subscriptions.clear()
        self._confirmed.clear()
        for reply in replies:
            _fail(reply, problem)
        self._lost()

    async def _write(self, commands: Any, channels: Any) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._subscriptions:
                batch = [self._subscriptions.popleft() for _ in range(min(AT_ONCE, len(self._subscriptions)))]
                await channels.send_packed_command(channels.pack_commands(batch), check_health=False)
            self._queue.extend((command, None) for command in self._collect())
            while self._queue:
                await self._round_trip(commands)

    async def _round_trip(self, connection: Any) -> None:
        """Send what is queued, and take the replies. Nothing is ever sent again: it might be heard twice."""
        batch = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        try:
            async with asyncio.timeout(self._timing.patience):
                await connection.send_packed_command(connection.pack_commands([command for command, _ in batch]),
                                                     check_health=False)
                for _, reply in batch:
                    await self._reply(connection, reply)
        except BaseException:
            for _, reply in batch:
                _fail(reply, "no reply")
            raise

    async def _reply(self, connection: Any, reply: asyncio.Future | None) -> None:
        try:
            answer = await connection.read_response(timeout=math.inf)
        except ReadOnlyError:
            raise  # a replica by now: the primary is behind a new connection
        except ResponseError as error:
            self._counts["refused"] += 1
            if reply is None:
                self.say(logging.WARNING, "Redis refused a command: %s", error)
            elif not reply.done():
                reply.set_exception(error)
            return
        if reply is not None and not reply.done():
            reply.set_result(answer)

    async def _read(self, channels: Any) -> None:
        while True:
            kind, channel, payload = await channels.read_response(timeout=math.inf)
            if kind == b"smessage":
                self._heard(channel.decode("utf-8", "replace"), payload)
            elif kind == b"ssubscribe":
                confirmed = self._confirmed.get(channel.decode())
                if confirmed and not confirmed.done():
                    confirmed.set_result(None)

    def say(self, level: int, text: str, *args: Any) -> bool:
        """Write a line to the log, but not many: a Redis that comes and goes is worth one now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._said < QUIET:
            return False
        self._said = now
        log.log(level, text, *args)
        return True


async def _ended(tasks: Iterable[asyncio.Task]) -> None:
    """Cancel tasks until they have ended, whatever they catch on their way."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)
    for task in tasks:
        task.cancelled() or task.exception()


def _fail(reply: asyncio.Future | None, problem: str) -> None:
    if reply is not None and not reply.done():
        reply.set_exception(Unreachable(problem))
        reply.exception()  # it may be that nobody waits any more
