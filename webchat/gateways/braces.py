"""The door for `{HEADER}body` messages, port 33002: the desktop window, and clients written as an exercise."""

from collections import deque
from collections.abc import Callable
from typing import Any

from tornado.iostream import IOStream

from webchat.chat.errors import BadMessage, LoginRequired, TooLong
from webchat.chat.events import Login, Rename, Tell
from webchat.chat.hub import PRESENCE_DELAY, Hub
from webchat.codecs import braces
from webchat.codecs.commands import ListUsers, Quit
from webchat.codecs.stream_input import OtherProtocol, Overlong
from webchat.gateways.tcp import CallLater, Connection, TCPDoor
from webchat.net.outbox import Outbox
from webchat.net.timers import Timer

FRAME_GAP = 0.05
"""Seconds between two messages to a client that can tell them apart by time alone."""

MAX_AT_FULL_GAP = 64
"""Messages that may wait for their turn; if there are more, the gaps shrink in proportion."""


class Pacer:
    """Makes each message a write of its own, `gap` seconds after the one before, for a client without newlines.

    `roster()` returns the list of people at the time of the call; requested several times before its turn, it is
    written once. If more than `limit` bytes wait, the pacer stops, and `on_overflow(reason)` is called.
    """

    def __init__(self, write: Callable[[bytes], None], roster: Callable[[], bytes], *, limit: int,
                 on_overflow: Callable[[str], None], gap: float, call_later: CallLater):
        self._write = write
        self._roster = roster
        self._limit = limit
        self._on_overflow = on_overflow
        self._gap = gap
        self._call_later = call_later
        self._waiting: deque[bytes | None] = deque()  # None: the list of people
        self._size = 0
        self._timer: Timer | None = None
        self._stopped = False

    def send(self, message: bytes) -> None:
        self._size += len(message)
        if self._size <= self._limit:
            self._append(message)
        elif not self._stopped:
            self.stop()
            self._on_overflow(f"more than {self._limit} bytes are waiting for their turn")

    def send_roster(self) -> None:
        if None not in self._waiting:
            self._append(None)

    def flush(self) -> None:
        """Write everything that waits, without gaps, because the connection is about to end."""
        while self._waiting:
            self._write_next()
        self.stop()

    def stop(self) -> None:
        """Drop everything that waits, and everything that is sent from now on."""
        self._stopped = True
        self._waiting.clear()
        if self._timer:
            self._timer.cancel()

    def _append(self, message: bytes | None) -> None:
        if self._stopped:
            return
        self._waiting.append(message)
        if self._timer is None:
            self._next_turn()

    def _next_turn(self) -> None:
        self._timer = None
        if self._waiting:
            self._write_next()
            gap = self._gap * min(1, MAX_AT_FULL_GAP / (len(self._waiting) + 1))
            self._timer = self._call_later(gap, self._next_turn)

    def _write_next(self) -> None:
        message = self._waiting.popleft()
        self._size -= len(message or b"")
        self._write(self._roster() if message is None else message)


class BraceConnection(Connection[braces.BraceInput]):
    """A connection that sends and receives `{HEADER}body` messages."""

    door: "BraceDoor"
    decoder: braces.BraceDecoder

    def __init__(self, door: "BraceDoor", stream: IOStream, address: str):
        super().__init__(door, stream, address)
        self.encode = door.encoders[""]
        self.decoder = braces.BraceDecoder(self._is_user, idle_time=door.idle_time,
                                           unfinished_time=door.unfinished_time)
        self._pacer = Pacer(self.queue.send, self._roster, limit=door.outbox.limit, on_overflow=self._overflow,
                            gap=door.gap, call_later=door.call_later)
        self._roster_scheduled = False
        self._listed: tuple[str, ...] = ()
        self._roster_check: Timer | None = None

    def send_sentence(self, sentence: str) -> None:
        self.send(braces.batch(braces.sentence(sentence), ending=self.decoder.ending))

    def send(self, frame: braces.FrameBatch) -> None:
        """Send the messages of an event: at once to a client with newlines, one after the other to one without."""
        send = self.queue.send if self.decoder.ending else self._pacer.send
        for chunk in frame.chunks:
            send(chunk)
        if frame.roster:
            self._send_roster()

    def flush(self) -> None:
        self._pacer.flush()
        super().flush()

    async def handle_item(self, item: braces.BraceInput) -> None:
        match item:
            case Login():
                await self._register(item)
            case Quit():
                self.close()
            case ListUsers():
                self._require_login()
                self._send_roster()
            case Overlong():
                raise TooLong("That message was too long, and has not been said.")
            case braces.MissingHeader():
                self._require_login(braces.REGISTER_HINT)
                raise BadMessage("A message begins with ALL, or a name, in braces.")
            case Tell():  # before the login, this is the greeting of another protocol's client
                self._require_login(braces.REGISTER_HINT)
                await self.hub.handle(self.session, item)
            case OtherProtocol():
                self.abort()
            case _:
                await self.hub.handle(self.session, item)

    async def _register(self, login: Login) -> None:
        if self.session.person is None:
            # The encoder is set before the login, because then the hub files the session by it.
            self.session.encode = self.door.encoders[self.decoder.ending]
            welcome = await self.hub.handle(self.session, login)
        else:
            welcome = await self.hub.handle(self.session, Rename(login.username, login.password))
        self.session.send(welcome)
        if self.decoder.ending:
            self.queue.flush()  # the list is a write of its own, and precedes the answers to the rest of the segment
            self.queue.send(self._roster())
        else:
            self._pacer.send_roster()

    def _is_user(self, name: str) -> bool:
        """See `BraceDecoder`. Before the login no name counts, because the refusals would tell who is here.

        In a registration names count: it is told anyway whether a name is taken, and no name contains a brace.
        """
        may_know = self.session.person is not None or self.decoder.is_registering
        return may_know and self.door.is_user(name)

    def _require_login(self, hint: str = "") -> None:
        if self.session.person is None:
            raise LoginRequired(f"{LoginRequired.sentence} {hint}".rstrip())

    # The list of people.

    def _send_roster(self) -> None:
        if not self.decoder.ending:
            self._pacer.send_roster()
        elif not self._roster_scheduled:
            self._roster_scheduled = True
            self.door.outbox.call_soon(self._write_roster)

    def _write_roster(self) -> None:
        self._roster_scheduled = False
        if not self.closing:
            self.queue.send(self._roster())

    def _roster(self) -> bytes:
        self._listed = self.hub.people.shown()
        self._schedule_check()
        return self.door.roster(self.decoder.ending)

    def _schedule_check(self) -> None:
        """Check the list later, if somebody in it has not been announced yet.

        If they leave before that, neither event is announced, and nothing else would correct the list.
        """
        if self._roster_check is None and self.hub.people.presence.pending:
            self._roster_check = self.door.call_later(PRESENCE_DELAY, self._check_roster)

    def _check_roster(self) -> None:
        self._roster_check = None
        if self.hub.people.presence.pending:
            self._schedule_check()
        elif self._listed != self.hub.people.shown():
            self._send_roster()

    def _overflow(self, reason: str) -> None:
        # Soon, because ending the connection removes it from the audience that is being sent to.
        self.door.outbox.call_soon(self._too_slow, reason)

    def _clean_up(self) -> None:
        self._pacer.stop()
        if self._roster_check:
            self._roster_check.cancel()
        super()._clean_up()


class BraceDoor(TCPDoor):
    """The port for braces.

    `gap` is the time between two messages to a client without newlines, in seconds; `idle_time` and `unfinished_time`
    are those of `BraceDecoder`, and the `settings` those of `TCPDoor`.
    """

    connection = BraceConnection

    def __init__(self, hub: Hub, outbox: Outbox, *, gap: float = FRAME_GAP, idle_time: float = braces.BRACE_IDLE_TIME,
                 unfinished_time: float = braces.UNFINISHED_TIME, **settings: Any):
        super().__init__(hub, outbox, **settings)
        self.gap = gap
        self.idle_time = idle_time
        self.unfinished_time = unfinished_time
        self.encoders = braces.encoders(self.is_user)
        self._shown: tuple[str, ...] = ()
        self._names: frozenset[str] = frozenset()
        self._rosters: dict[str, bytes] = {}

    def is_user(self, name: str) -> bool:
        """Whether somebody of that name is connected, spelled as in the list of people; the asterisk may be missing.

        This is asked for every `{word}` in a text, so it is a look into a set, not the costly comparison of a login.
        """
        self._refresh()
        return name in self._names

    def roster(self, ending: str) -> bytes:
        """The list of people as bytes, built once for all connections with the same ending."""
        self._refresh()
        if ending not in self._rosters:
            self._rosters[ending] = braces.batch([braces.roster(self._shown)], ending=ending).chunks[0]
        return self._rosters[ending]

    def _refresh(self) -> None:
        shown = self.hub.people.shown()
        if shown is not self._shown:
            self._shown = shown
            self._names = braces.spellings(shown)
            self._rosters.clear()
