"""The door for `{HEADER}body` messages, port 33002: the desktop window, and clients written as an exercise."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from webchat.chat.errors import BadCredentials, BadMessage, ChatError, LoginRequired, TooLong
from webchat.chat.events import Login, Rename, Tell
from webchat.chat.hub import PRESENCE_DELAY, Hub
from webchat.codecs import braces
from webchat.codecs.commands import ListUsers, Quit
from webchat.codecs.greetings import OtherProtocol
from webchat.codecs.stream_input import Overlong
from webchat.gateways.tcp import CallLater, Connection, TCPDoor
from webchat.net.accept import Stream
from webchat.net.outbox import Outbox
from webchat.net.timers import Timer

FRAME_GAP = 0.05
"""Seconds between two messages to a client that can tell them apart by time alone."""

MAX_AT_FULL_GAP = 64
"""Messages that may wait for their turn; if there are more, the gaps shrink in proportion."""

ROSTER_INTERVAL = 1.0
"""Seconds; under load, each listener is sent one list of people in each such interval."""

CHANGES_BUDGET = 16 * 1024
"""Bytes of lists in one interval, for all listeners together, that changes may cause without any waiting."""

REQUESTS_BUDGET = 64 * 1024
"""Bytes of lists in one interval that one listener may ask for without waiting."""


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
            report = self._on_overflow
            self.stop()
            report(f"more than {self._limit} bytes are waiting for their turn")

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
        self._write = self._on_overflow = _ignore  # they lead to the connection, which leads back here
        self._roster = bytes
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


def _ignore(_: object) -> None:
    """The pacer has stopped."""


class RosterListener(Protocol):
    """A connection that receives the list of people."""

    def send_roster(self, *, if_changed: bool = False) -> None:
        """Send the list as it is when it is written, and call `RosterThrottle.record` then.

        With `if_changed`, a list that is the same as the last one need not be sent.
        """


class RosterThrottle:
    """Decides when a list of people that has fallen due is sent; a later one replaces it, and the last is never lost.

    A list names everybody and goes to everybody. So one connection that changes its name all the time would make each
    of 400 people receive 80 KB a second. Lists are therefore counted in intervals of a second, of which the first
    begins with a list after a quiet time. In each, every listener is sent their first list at once. Further lists are
    sent at once as well while all that have fallen due are small (`CHANGES_BUDGET`): in a small chat nobody waits.
    Otherwise they wait for the next interval, and in that one the rule is strict from its beginning.

    A listener that asks for lists burdens nobody else, so they have a budget of their own (`REQUESTS_BUDGET`).
    """

    def __init__(self, call_later: CallLater):
        self._call_later = call_later
        self._timer: Timer | None = None
        self._sent: dict[RosterListener, int] = {}  # bytes of lists in this interval
        self._waiting: dict[RosterListener, bool] = {}  # whether they have asked for it
        self._due = 0  # bytes of lists that changes have made fall due in this interval
        self._is_strict = False

    def changed(self, listener: RosterListener, size: int) -> None:
        """The list of a listener has changed, and has this many bytes now."""
        self._due += size
        if listener in self._sent and (self._is_strict or self._due > CHANGES_BUDGET):
            self._waiting.setdefault(listener, False)
        else:
            listener.send_roster()

    def requested(self, listener: RosterListener) -> None:
        """A listener asks for the list."""
        if self._sent.get(listener, 0) >= REQUESTS_BUDGET:
            self._waiting[listener] = True
        else:
            listener.send_roster()

    def record(self, listener: RosterListener, size: int) -> None:
        """A list of this many bytes is being sent, whatever for; it is the newest."""
        self._sent[listener] = self._sent.get(listener, 0) + size
        self._waiting.pop(listener, None)
        if self._timer is None:
            self._timer = self._call_later(ROSTER_INTERVAL, self._next_interval)

    def settle(self, listener: RosterListener) -> None:
        """The connection of a listener is about to end: the list that they have asked for is sent now."""
        if self._waiting.pop(listener, False):
            listener.send_roster()

    def forget(self, listener: RosterListener) -> None:
        """The connection of a listener has ended."""
        self._sent.pop(listener, None)
        self._waiting.pop(listener, None)
        if not self._sent and self._timer:
            self._timer.cancel()
            self._next_interval()

    def _next_interval(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._is_strict = bool(waiting) and self._due > CHANGES_BUDGET
        self._due = 0
        self._sent.clear()
        self._timer = None
        for listener, has_asked in waiting.items():
            listener.send_roster(if_changed=not has_asked)


class BraceConnection(Connection[braces.BraceInput]):
    """A connection that sends and receives `{HEADER}body` messages."""

    door: "BraceDoor"
    decoder: braces.BraceDecoder

    def __init__(self, door: "BraceDoor", stream: Stream, address: str):
        super().__init__(door, stream, address)
        self.encode = door.encoders[""]
        self.decoder = braces.BraceDecoder(door.is_user, idle_time=door.idle_time,
                                           unfinished_time=door.unfinished_time, is_stranger=True)
        self._pacer = Pacer(self.queue.send, self._roster, limit=door.outbox.limit, on_overflow=self._overflow,
                            gap=door.gap, call_later=door.call_later)
        self._roster_scheduled = False
        self._listed: tuple[str, ...] = ()
        self._roster_check: Timer | None = None

    def send_sentence(self, sentence: str) -> None:
        self.send(braces.batch(braces.sentence(sentence), ending=self.decoder.ending))

    def refusal_sentence(self, error: ChatError) -> str:
        hint = {LoginRequired: braces.REGISTER_HINT, BadCredentials: braces.PASSWORD_HINT}.get(type(error), "")
        return f"{error} {hint}".rstrip()

    def send(self, frame: braces.FrameBatch) -> None:
        """Send the messages of an event: at once to a client with newlines, one after the other to one without."""
        send = self.queue.send if self.decoder.ending else self._pacer.send
        for chunk in frame.chunks:
            send(chunk)
        if frame.roster:
            self._roster_changed()

    def flush(self) -> None:
        self.door.rosters.settle(self)
        self._pacer.flush()
        self._write_roster()
        super().flush()

    async def handle_item(self, item: braces.BraceInput) -> None:
        match item:
            case Login():
                await self._register(item)
            case Quit():
                self.close()
            case ListUsers():
                self._require_login()
                self.door.rosters.requested(self)
            case Overlong():
                raise TooLong("That message was too long, and has not been said.")
            case braces.MissingHeader():
                self._require_login()
                raise BadMessage("A message begins with ALL, or a name, in braces.")
            case Tell():  # before the login, this is the greeting of another protocol's client
                self._require_login()
                await self.hub.handle(self.session, item)
            case OtherProtocol():
                self.turn_away(item)
            case _:
                await self.hub.handle(self.session, item)

    async def _register(self, login: Login) -> None:
        if self.session.person is None:
            # The encoder is set before the login, because then the hub files the session by it.
            self.session.encode = self.door.encoders[self.decoder.ending]
            welcome = await self.hub.handle(self.session, login)
        else:
            welcome = await self.hub.handle(self.session, Rename(login.username, login.password))
        self.decoder.is_stranger = False
        self.session.send(welcome)
        if self.decoder.ending:
            self.queue.flush()  # the list is a write of its own, and precedes the answers to the rest of the segment
            self.queue.send(self._roster())
        else:
            self._pacer.send_roster()

    def _require_login(self) -> None:
        if self.session.person is None:
            raise LoginRequired

    # The list of people.

    def _roster_changed(self) -> None:
        self.door.rosters.changed(self, len(self.door.roster(self.decoder.ending)))

    def send_roster(self, *, if_changed: bool = False) -> None:
        """Send the list of people as a write of its own, once however often it is called before that."""
        if if_changed and self._listed == self.hub.people.shown():
            return  # our window takes a list that has not changed for the answer to its request
        if not self.decoder.ending:
            self._pacer.send_roster()
        elif not self._roster_scheduled:
            self._roster_scheduled = True
            self.door.outbox.call_soon(self._write_roster)

    def _write_roster(self) -> None:
        if self._roster_scheduled and not self.queue.closed:
            self._roster_scheduled = False
            self.queue.send(self._roster())

    def _roster(self) -> bytes:
        self._listed = self.hub.people.shown()
        self._schedule_check()
        roster = self.door.roster(self.decoder.ending)
        self.door.rosters.record(self, len(roster))
        return roster

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
            self._roster_changed()

    def _overflow(self, reason: str) -> None:
        # Soon, because ending the connection removes it from the audience that is being sent to.
        self.door.outbox.call_soon(self._too_slow, reason)

    def _clean_up(self) -> None:
        self._pacer.stop()
        self.door.rosters.forget(self)
        if self._roster_check:
            self._roster_check.cancel()
        super()._clean_up()


class BraceDoor(TCPDoor):
    """The port for braces.

    `gap` is the time between two messages to a client without newlines, in seconds; `idle_time` and `unfinished_time`
    are those of `BraceDecoder`, and the `settings` those of `TCPDoor`.
    """

    connection = BraceConnection
    purpose = "This port is for chat messages that begin with a header in braces."

    def __init__(self, hub: Hub, outbox: Outbox, *, gap: float = FRAME_GAP, idle_time: float = braces.BRACE_IDLE_TIME,
                 unfinished_time: float = braces.UNFINISHED_TIME, **settings: Any):
        super().__init__(hub, outbox, **settings)
        self.gap = gap
        self.idle_time = idle_time
        self.unfinished_time = unfinished_time
        self.encoders = braces.encoders(self.is_user)
        self.rosters = RosterThrottle(self.call_later)
        self._shown: tuple[str, ...] = ()
        self._names: frozenset[str] = frozenset()
        self._rosters: dict[str, bytes] = {}

    def refusal(self, sentence: str) -> bytes:
        return b"".join(braces.batch(braces.sentence(sentence), ending="\n").chunks)

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
