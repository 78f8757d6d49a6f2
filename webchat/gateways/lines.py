"""The door for lines of text, port 7007: telnet, nc, and programs that print what a socket sends."""

from collections.abc import Awaitable, Callable
from typing import Any

from webchat.chat.errors import BadCredentials, BadName, ChatError, LoginRequired, TooLong
from webchat.chat.events import Command, Join, Login, Part, Rename, Say, Tell
from webchat.chat.hub import Hub
from webchat.codecs import lines
from webchat.codecs.commands import (
    ListRooms,
    ListUsers,
    LocalCommand,
    Quit,
    ShowHelp,
    introduction,
    parse,
    usage,
    without_own_name,
)
from webchat.codecs.greetings import OtherProtocol
from webchat.codecs.stream_input import Overlong
from webchat.gateways.tcp import Connection, TCPDoor
from webchat.net.accept import Stream
from webchat.net.outbox import Outbox
from webchat.net.timers import Timer

GREETING_DELAY = 0.1
"""Seconds in which a client may speak first. One that speaks another protocol is answered in that protocol alone."""


class LineConnection(Connection[lines.LineInput]):
    """A connection that sends and receives lines.

    `room` is where plain text goes: None for everyone, a room after `/join` until `/part`. `rooms` are the rooms that
    the person is a member of.
    """

    encode = staticmethod(lines.encode_lf)
    echo = False
    decoder: lines.LineDecoder

    def __init__(self, door: "LineDoor", stream: Stream, address: str):
        super().__init__(door, stream, address)
        self.decoder = lines.LineDecoder(idle_time=door.idle_time)
        self.room: str | None = None
        self.rooms: tuple[str, ...] = ()
        self._greeting: Timer | None = None
        self.send = self.queue.send  # no call in between: this runs once for each message and recipient

    def send_greeting(self) -> None:
        """Send it when the client has said something, or has waited for it."""
        self._greeting = self.door.call_later(GREETING_DELAY, self._greet)

    def _greet(self) -> None:
        if self._greeting:
            self._greeting.cancel()
            self._greeting = None
            self.send_sentence("Welcome to webchat. Type your name and press Enter.")

    def send_sentence(self, sentence: str) -> None:
        self._write(lines.server_lines(sentence))

    def refusal_sentence(self, error: ChatError) -> str:
        if isinstance(error, BadCredentials):
            return f"{error} {lines.LOGIN_HINT}"
        if isinstance(error, BadName) and self.session.person is None:
            return f"{error} {lines.NAME_HINT}"
        return str(error)

    async def handle_item(self, item: lines.LineInput) -> None:
        if not isinstance(item, OtherProtocol):
            self._greet()
        match item:
            case lines.Line(text):
                await self._handle_line(text)
            case lines.TelnetAnswer(data):
                self.queue.send(data)
            case Overlong():
                raise TooLong("That line was too long, and has not been said.")
            case OtherProtocol():
                self.turn_away(item)

    def _write(self, text: str) -> None:
        self.queue.send(text.replace("\n", self.decoder.ending.decode()).encode("utf-8", "replace"))

    async def _handle_line(self, text: str) -> None:
        if self.session.person is None:
            await self._handle_line_before_login(text)
        elif (said := without_own_name(text, self.session.person.shown)).strip():
            await self._execute(parse(said, self.room))

    async def _handle_line_before_login(self, text: str) -> None:
        # The encoder is set before the login, because then the hub files the session by it.
        self.session.encode = lines.LINE_ENCODERS[self.decoder.ending]
        if not text.startswith("/"):
            name, text = introduction(text)
            await self._execute(Login(name))
        if text:
            await self._execute(parse(text))

    async def _execute(self, command: Command | LocalCommand) -> None:
        await self._ACTIONS[type(command)](self, command)

    async def _say(self, command: Say | Tell) -> None:
        await self.hub.handle(self.session, command)

    async def _login(self, command: Login | Rename) -> None:
        is_first = self.session.person is None
        kind = Login if is_first else Rename
        welcome = await self.hub.handle(self.session, kind(command.username, command.password))
        self.rooms = welcome.rooms
        if self.room not in self.session.rooms:
            self.room = None  # another person is in none of the rooms that this connection had joined
        self.send_sentence(f"You are {welcome.username}. {lines.people_sentence(welcome.users)}")
        if is_first:
            self.send_sentence("What you type goes to everyone; /help lists what else you can do.")

    async def _join(self, command: Join) -> None:
        joined = await self.hub.handle(self.session, command)
        self.room = joined.room
        self.send_sentence(f"You are in #{joined.room} with {' | '.join(joined.members)}.")
        if joined.history:
            self.send_sentence(f"What was said last in #{joined.room}:")
            self._write("".join(map(lines.as_lines, joined.history)))
        self.send_sentence(f"What you type goes to #{joined.room} now; /part leaves it, /all text goes to everyone.")

    async def _part(self, command: Part) -> None:
        await self.hub.handle(self.session, command)
        is_current = self.room is not None and _is_same_room(self.room, command.room)
        if is_current:
            self.room = None
        self.send_sentence("You have left the room." + (" What you type goes to everyone again." if is_current else ""))

    async def _list_users(self, command: ListUsers) -> None:
        self._require_login()
        self.send_sentence(lines.people_sentence(self.hub.people.shown()))

    async def _list_rooms(self, command: ListRooms) -> None:
        self._require_login()
        rooms = " | ".join(self.rooms)
        self.send_sentence(f"Your rooms: {rooms}" if rooms else "You are not a member of any room.")

    async def _show_help(self, command: ShowHelp) -> None:
        self.send_sentence(usage())

    async def _quit(self, command: Quit) -> None:
        self.close("Goodbye.")

    def _clean_up(self) -> None:
        if self._greeting:
            self._greeting.cancel()
        super()._clean_up()

    def _require_login(self) -> None:
        if self.session.person is None:
            raise LoginRequired

    _ACTIONS: dict[type[Command | LocalCommand], Callable[["LineConnection", Any], Awaitable[None]]] = {
        Say: _say, Tell: _say, Login: _login, Rename: _login, Join: _join, Part: _part,
        ListUsers: _list_users, ListRooms: _list_rooms, ShowHelp: _show_help, Quit: _quit,
    }


def _is_same_room(one: str, other: str) -> bool:
    return one.casefold() == other.strip().removeprefix("#").casefold()


class LineDoor(TCPDoor):
    """The port for lines. `idle_time` is that of `LineDecoder`; the `settings` are those of `TCPDoor`."""

    connection = LineConnection
    purpose = "This port is for chat in lines of text, as telnet and nc send them."

    def __init__(self, hub: Hub, outbox: Outbox, *, idle_time: float = lines.LINE_IDLE_TIME, **settings: Any):
        super().__init__(hub, outbox, **settings)
        self.idle_time = idle_time

    def refusal(self, sentence: str) -> bytes:
        return lines.server_lines(sentence).encode()
