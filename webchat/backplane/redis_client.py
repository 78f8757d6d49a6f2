"""A Redis client that pipelines commands, limits the time of every reply, and reconnects by itself."""

import asyncio
import logging
import math
import random
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, ReadOnlyError, RedisError, ResponseError

from webchat.backplane.address import RedisAddress
from webchat.backplane.timing import Timing

log = logging.getLogger(__name__)

T = TypeVar("T")

RedisCommand = tuple[Any, ...]
"""A command and its arguments, as Redis takes them: bytes, text or numbers."""

NOT_PRINTABLE = re.compile("[^ -~]")

MAX_PIPELINE = 500
"""Commands in one round trip."""


class Unreachable(Exception):
    """Redis is unreachable, or takes too long for a reply; the text says why."""


class RedisRequest(NamedTuple):
    """A command in the queue, and the future for its reply, if somebody waits for it.

    A refusal is not counted if `may_be_refused`.
    """

    command: RedisCommand
    reply: asyncio.Future[Any] | None = None
    may_be_refused: bool = False


class ConnectionHandler(Protocol):
    """What a RedisClient calls while it runs. Only `connected` may wait."""

    async def connected(self) -> None:
        """Use a new connection for as long as it lasts. The client reconnects when this ends or raises."""

    def pending_commands(self) -> Iterable[RedisCommand]:
        """The commands to send with this round trip, in their order."""

    def received(self, channel: str, data: bytes) -> None:
        """Take a message from a subscribed channel."""

    def disconnected(self) -> None:
        """The connection is lost; it is not known whether the last commands arrived."""


class RedisClient:
    """Two connections to one Redis: one for commands, one for subscriptions.

    `name` is what `CLIENT LIST` shows for both. `counts` gets `reconnects`, and the commands that Redis `refused`.
    `send`, `subscribe` and `unsubscribe` neither block nor raise. `attempted` is set when the first attempt to connect
    has failed or the first connection is lost. `sleep` waits the given number of seconds between two attempts.
    """

    def __init__(self, address: RedisAddress, name: str, timing: Timing, counts: Counter[str], *,
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep):
        self.is_connected = False
        self.last_error = "not connected yet"
        self.attempted = asyncio.Event()
        # Reads and writes are timed here: redis-py's `wait_for` sometimes loses a cancellation on Python 3.11. Setting
        # the client name makes connecting wait for a reply: a Redis that only accepts connections is unreachable.
        # Half a surrogate pair in a token that somebody typed must not end the connection of all: it becomes "?".
        self._pool = ConnectionPool(**_arguments(address), protocol=2, client_name=name, driver_info=None,
                                    socket_timeout=None, socket_connect_timeout=timing.reply_timeout,
                                    encoding_errors="replace")
        self.database = address.database
        self._timing = timing
        self._counts = counts
        self._sleep = sleep
        self._queue: deque[RedisRequest] = deque()
        self._has_work = asyncio.Event()
        self._channels: set[str] = set()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._subscription_queue: deque[RedisCommand] = deque()
        self._connected_before = False
        self._last_log: dict[str, float] = {}

    # Commands and subscriptions.

    def schedule_round_trip(self) -> None:
        """Ask the handler for its pending commands soon."""
        self._has_work.set()

    def send(self, *command: Any) -> None:
        """Send a command whose reply does not matter. It is dropped while Redis is unreachable."""
        if self.is_connected:
            self._queue.append(RedisRequest(command))
            self._has_work.set()

    def execute(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command; the future gets the reply.

        It raises Unreachable, at once or after `reply_timeout`, and ResponseError if Redis refuses the command.
        """
        return self._request(command)

    def ask(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command that need not be allowed: as `execute`, but a refusal is not counted."""
        return self._request(command, may_be_refused=True)

    def _request(self, command: RedisCommand, may_be_refused: bool = False) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.is_connected:
            self._queue.append(RedisRequest(command, reply, may_be_refused))
            self._has_work.set()
        else:
            _fail(reply, self.last_error)
        return reply

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """Subscribe to a channel, now and after each reconnect.

        The future is done when Redis has confirmed the subscription. It raises Unreachable.
        """
        self._channels.add(channel)
        if not self.is_connected:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            _fail(failed, self.last_error)
            return failed
        confirmation = self._confirmations.get(channel)
        if confirmation is None or confirmation.cancelled():
            confirmation = self._confirmations[channel] = asyncio.get_running_loop().create_future()
            self._subscription_queue.append(("SSUBSCRIBE", channel))
            self._has_work.set()
        return confirmation

    def unsubscribe(self, channel: str) -> None:
        """End a subscription."""
        self._channels.discard(channel)
        if (confirmation := self._confirmations.pop(channel, None)) and not confirmation.done():
            confirmation.cancel()
        if self.is_connected:
            self._subscription_queue.append(("SUNSUBSCRIBE", channel))
            self._has_work.set()

    def log_rarely(self, level: int, text: str, *args: Any, exc_info: bool = False) -> bool:
        """Write a line to the log, unless the last one of this text was less than `log_interval` ago.

        The text is the one before the arguments are filled in. Returns whether the line was written.
        """
        now = asyncio.get_running_loop().time()
        if now - self._last_log.get(text, -math.inf) < self._timing.log_interval:
            return False
        self._last_log[text] = now
        log.log(level, text, *args, exc_info=exc_info)
        return True

    # The connections.

    async def run(self, handler: ConnectionHandler) -> None:
        """Connect, and reconnect with exponential backoff, until cancelled."""
        first, longest = self._timing.backoff
        delay = first
        while True:
            reason = "closed"
            try:
                await self._use_connections(handler)
            except Exception as error:
                reason = describe(error)
                if not isinstance(error, RedisError | OSError | TimeoutError | Unreachable):
                    self.log_rarely(logging.ERROR, "Reconnecting to Redis after an unexpected error.", exc_info=True)
                if self.is_connected:
                    delay = first
            finally:
                self._disconnect(handler, reason)
                self.attempted.set()
            await self._sleep(delay * random.uniform(0.5, 1))  # so that nodes do not reconnect in step
            delay = min(2 * delay, longest)

    async def _use_connections(self, handler: ConnectionHandler) -> None:
        """Connect, and serve the handler until something fails."""
        commands, subscriptions = self._new_connection(), self._new_connection()
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(self._timing.reply_timeout):
                for connection in (commands, subscriptions):
                    await connection.connect()  # type: ignore[no-untyped-call]  # of redis-py
            self._connect()
            tasks = [asyncio.ensure_future(each) for each in (
                self._write(handler, commands, subscriptions), self._read(handler, subscriptions),
                handler.connected())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancel_all(tasks)
            for connection in (commands, subscriptions):
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)

    def _new_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # of redis-py
        return connection

    def _connect(self) -> None:
        self.is_connected = True
        self._counts["reconnects"] += self._connected_before
        self._connected_before = True
        self._confirmations = {channel: asyncio.get_running_loop().create_future() for channel in self._channels}
        self._subscription_queue.extend(("SSUBSCRIBE", channel) for channel in self._channels)
        self._has_work.set()

    def _disconnect(self, handler: ConnectionHandler, reason: str) -> None:
        self.last_error = reason
        if not self.is_connected:
            return
        self.is_connected = False
        replies = [request.reply for request in self._queue if request.reply] + list(self._confirmations.values())
        self._queue.clear()
        self._subscription_queue.clear()
        self._confirmations.clear()
        for reply in replies:
            _fail(reply, reason)
        handler.disconnected()

    async def _write(self, handler: ConnectionHandler, commands: AbstractConnection,
                     subscriptions: AbstractConnection) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while batch := _take(self._subscription_queue):
                await subscriptions.send_packed_command(subscriptions.pack_commands(batch), check_health=False)
            self._queue.extend(map(RedisRequest, handler.pending_commands()))
            while self._queue:
                await self._round_trip(commands)

    async def _round_trip(self, connection: AbstractConnection) -> None:
        """Send what is queued, and take the replies. Nothing is ever sent again, because it could arrive twice."""
        batch = _take(self._queue)
        try:
            async with asyncio.timeout(self._timing.reply_timeout):
                await connection.send_packed_command(connection.pack_commands([each.command for each in batch]),
                                                     check_health=False)
                for request in batch:
                    await self._take_reply(connection, request)
        except BaseException:
            for request in batch:
                _fail(request.reply, "no reply")
            raise

    async def _take_reply(self, connection: AbstractConnection, request: RedisRequest) -> None:
        reply = request.reply
        try:
            answer = await connection.read_response(timeout=math.inf)
        except ReadOnlyError:
            raise  # this Redis has become a replica; a new connection leads to the primary
        except ResponseError as error:
            self._counts["refused"] += not request.may_be_refused
            if reply is None:
                self.log_rarely(logging.WARNING, "Redis refused a command: %s.", describe(error))
            elif not reply.done():
                reply.set_exception(error)
            return
        if reply is not None and not reply.done():
            reply.set_result(answer)

    async def _read(self, handler: ConnectionHandler, subscriptions: AbstractConnection) -> None:
        while True:
            kind, channel, payload = await subscriptions.read_response(timeout=math.inf)
            if kind == b"smessage":
                self._receive(handler, channel.decode("utf-8", "replace"), payload)
            elif kind == b"ssubscribe":
                confirmation = self._confirmations.get(channel.decode("utf-8", "replace"))
                if confirmation and not confirmation.done():
                    confirmation.set_result(None)

    def _receive(self, handler: ConnectionHandler, channel: str, data: bytes) -> None:
        """Pass a message to the handler; a bug there costs this message, and not the connection."""
        try:
            handler.received(channel, data)
        except Exception:
            self.log_rarely(logging.ERROR, "A message on a channel could not be processed.", exc_info=True)


def _arguments(address: RedisAddress) -> dict[str, Any]:
    """The arguments of redis-py for a connection to this address."""
    login = {"db": address.database, "username": address.username, "password": address.password}
    if address.path is not None:
        return login | {"connection_class": UnixDomainSocketConnection, "path": address.path}
    kind = Connection if address.tls is None else SSLConnection
    return login | {"connection_class": kind, "host": address.host, "port": address.port} | dict(address.tls or {})


def describe(error: Exception) -> str:
    """Say what went wrong, for the log, without what Redis repeats of a command.

    Redis repeats the arguments of a command that it does not know: a password, or what somebody has said.
    """
    if isinstance(error, InvalidResponse) or isinstance(error.__cause__, InvalidResponse):
        return "what answers is no Redis"
    return printable(str(error).partition(", with args")[0]) or "no reply in time"


def printable(text: str) -> str:
    """Return a text from outside as it can be put into a line of the log: short, in ASCII, without a full stop."""
    return NOT_PRINTABLE.sub("?", text[:200]).rstrip(".")


def _take(queue: deque[T]) -> list[T]:
    """Remove one pipeline's worth from the front of a queue."""
    return [queue.popleft() for _ in range(min(MAX_PIPELINE, len(queue)))]


async def _cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended; a task that catches the cancellation is cancelled again."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it


def _fail(reply: asyncio.Future[Any] | None, problem: str) -> None:
    if reply is not None and not reply.done():
        reply.set_exception(Unreachable(problem))
        reply.exception()  # retrieved: nobody may be waiting for it any more
