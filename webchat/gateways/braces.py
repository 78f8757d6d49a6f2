"""The door for `{HEADER}body` messages, port 33002: the desktop window, and the exercise's own clients."""

import asyncio
from collections import deque
from collections.abc import Callable

from webchat.chat.errors import BadMessage, TooLong
from webchat.chat.events import Login, Rename
from webchat.chat.hub import PRESENCE_DELAY
from webchat.codecs import braces
from webchat.codecs.braces import Burst
from webchat.codecs.stream_input import OtherProtocol, Overlong
from webchat.gateways.tcp import Connection, Door
from webchat.net.outbox import SendQueue

GAP = 0.05
"""Seconds between two messages to a client that tells them apart by time alone."""

EASY = 64
"""Messages that may wait for their gaps; with more, the gaps shrink in proportion."""


class Pacer:
    """Each message its own write, `gap` seconds apart, for a client that ends its messages with nothing.

    `roster()` gives the list of people as it stands; however often it falls due while others wait, it is sent once.
    The waiting messages are bounded to `limit` bytes: `on_overflow(reason)` is called beyond.
    """

    def __init__(self, queue: SendQueue, roster: Callable[[], bytes], limit: int, on_overflow: Callable[[str], None],
                 gap: float = GAP):
        self._queue = queue
        self._roster = roster
        self._limit = limit
        self._on_overflow = on_overflow
        self._gap = gap
        self._waiting: deque[bytes | None] = deque()  # None: the list of people
        self._size = 0
        self._roster_waits = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def send(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            self.stop()
            self._loop.call_soon(self._on_overflow, f"more than {self._limit} bytes are waiting for their turn")
            return
        self._put(chunk)

    def send_roster(self) -> None:
        if not self._roster_waits:
            self._roster_waits = True
            self._put(None)

    def flush(self) -> None:
        """Write all that waits; for the end of a connection, when there is no time left to keep."""
        while self._waiting:
            self._write()
        self.stop()

    def stop(self) -> None:
        self._waiting.clear()
        self._size = 0
        if self._timer:
            self._timer.cancel()

    def _put(self, chunk: bytes | None) -> None:
        self._waiting.append(chunk)
        if self._timer is None:
            self._next()

    def _next(self) -> None:
        self._timer = None
        if self._waiting:
            self._write()
            self._timer = self._loop.call_later(self._gap * min(1, EASY / (len(self._waiting) + 1)), self._next)

    def _write(self) -> None:
        chunk = self._waiting.popleft()
        if chunk is None:
            self._roster_waits = False
            chunk = self._roster()
        else:
            self._size -= len(chunk)
        self._queue.send(chunk)


class BraceConnection(Connection):
    """Somebody whose client speaks braces."""

    encode = staticmethod(braces.encode_bare)
    door: "BraceServer"

    def __init__(self, *args):
        super().__init__(*args)
        self.decoder = braces.BraceDecoder(self.door.is_user)
        self._pacer = Pacer(self.queue, self._roster, self.door.outbox.limit, self._too_slow, self.door.gap)
        self._roster_due = False
        self._listed: tuple[str, ...] = ()
        self._check: asyncio.TimerHandle | None = None

    def tell(self, sentence: str) -> None:
        self.send(braces.burst(braces.sentence(sentence), ending=self.decoder.ending))

    def send(self, frame: Burst) -> None:
        """Straight into the queue for a client with newlines, one by one to the others."""
        send = self.queue.send if self.decoder.ending else self._pacer.send
        for chunk in frame.chunks:
            send(chunk)
        if frame.roster:
            self._send_roster()

    def flush(self) -> None:
        self._pacer.flush()
        super().flush()

    def _end(self) -> None:
        self._pacer.stop()
        if self._check:
            self._check.cancel()
        super()._end()

    async def act(self, item: braces.Item) -> None:
        match item:
            case Login():
                await self._register(item)
            case braces.Leave():
                self.close()
            case braces.Who():
                self._send_roster()
            case Overlong():
                raise TooLong("That message was too long, and has not been said.")
            case braces.Stray():
                raise BadMessage("A message begins with ALL, or a name, in braces.")
            case OtherProtocol():
                self.abort()
            case _:
                await self.hub.handle(self.session, item)

    async def _register(self, login: Login) -> None:
        if self.session.person is None:
            # Before the session has an audience: there it is filed under its encoder.
            self.session.encode = braces.ENCODERS[self.decoder.ending]
            welcome = await self.hub.handle(self.session, login)
        else:
            welcome = await self.hub.handle(self.session, Rename(login.username, login.password))
        self.session.send(welcome)
        if self.decoder.ending:
            self.queue.flush()  # the list is a write of its own, and comes before what else was in the same segment
            self.queue.send(self._roster())
        else:
            self._pacer.send_roster()

    def _send_roster(self) -> None:
        if not self.decoder.ending:
            self._pacer.send_roster()
        elif not self._roster_due:
            self._roster_due = True
            asyncio.get_running_loop().call_soon(self._write_roster)

    def _write_roster(self) -> None:
        self._roster_due = False
        self.queue.send(self._roster())

    def _roster(self) -> bytes:
        self._listed = self.hub.people.shown()
        self._check_later()
        return self.door.roster(self.decoder.ending)

    def _check_later(self) -> None:
        """Somebody in the list may go before it is told that he came; then neither is, and the list is wrong."""
        if self._check is None and self.hub.people.presence.pending:
            self._check = asyncio.get_running_loop().call_later(PRESENCE_DELAY, self._check_roster)

    def _check_roster(self) -> None:
        self._check = None
        if self.hub.people.presence.pending:
            self._check_later()
        elif self._listed != self.hub.people.shown():
            self._send_roster()


class BraceServer(Door):
    """Braces on a port; see `webchat.gateways.tcp.Door`. `gap` is `GAP`, in seconds."""

    connection = BraceConnection

    def __init__(self, *args, gap: float = GAP, **kwargs):
        super().__init__(*args, **kwargs)
        self.gap = gap
        self._shown: tuple[str, ...] | None = None
        self._names: frozenset[str] = frozenset()
        self._rosters: dict[str, bytes] = {}

    def is_user(self, name: str) -> bool:
        """Whether somebody of that name, as the list of people has it, is connected; the asterisk may be left out.

        Asked of every `{word}` in a text: one look into a set, not the comparison of look-alikes that a login costs.
        """
        self._refresh()
        return name in self._names

    def roster(self, ending: str) -> bytes:
        """The list of people as it stands, built once for all connections that end their messages alike."""
        self._refresh()
        if ending not in self._rosters:
            self._rosters[ending] = braces.burst([braces.roster(self._shown)], ending=ending).chunks[0]
        return self._rosters[ending]

    def _refresh(self) -> None:
        shown = self.hub.people.shown()
        if shown is not self._shown:
            self._shown = shown
            self._names = frozenset(shown).union(name.removesuffix("*") for name in shown)
            self._rosters.clear()
