"""The door for lines of text, port 7007: telnet, nc, and whoever opens a socket and prints."""

from webchat.chat.errors import BadCredentials, ChatError, LoginRequired, TooLong
from webchat.chat.events import Join, Joined, Login, Part, Rename, Say, Tell, Welcome
from webchat.codecs import lines
from webchat.codecs.commands import ListRooms, ListUsers, Quit, ShowHelp, introduction, parse, usage, without_own_name
from webchat.codecs.stream_input import OtherProtocol, Overlong
from webchat.gateways.tcp import Connection, TCPDoor


class LineConnection(Connection):
    """Somebody who types lines.

    `room` is where plain text goes: None for everyone, a room after `/join` until `/part`.
    """

    encode = staticmethod(lines.encode_lf)
    echo = False

    def __init__(self, *args):
        super().__init__(*args)
        self.decoder = lines.LineDecoder()
        self.room: str | None = None
        self.rooms: tuple[str, ...] = ()
        self.send = self.queue.send  # for each message to each listener: no call in between

    def greet(self) -> None:
        self.tell("Welcome to webchat. Type your name and press Enter.")

    def tell(self, sentence: str) -> None:
        self._write(lines.server_lines(sentence))

    def _write(self, text: str) -> None:
        self.queue.send(text.replace("\n", self.decoder.ending.decode()).encode("utf-8", "replace"))

    def explain(self, error: ChatError) -> str:
        return f"{error} {lines.LOGIN_HINT}" if isinstance(error, BadCredentials) else str(error)

    async def act(self, item: lines.LineInput) -> None:
        match item:
            case lines.Line(text):
                await self._line(text)
            case lines.TelnetAnswer(data):
                self.queue.send(data)
            case Overlong():
                raise TooLong("That line was too long, and has not been said.")
            case OtherProtocol():
                self.abort()

    async def _line(self, text: str) -> None:
        if not text.strip() and self.session.person:
            return
        if self.session.person is None:
            # Before the session has an audience: there it is filed under its encoder.
            self.session.encode = lines.LINE_ENCODERS[self.decoder.ending]
            if not text.startswith("/"):
                name, text = introduction(text)
                await self._do(Login(name))
        else:
            text = without_own_name(text, self.session.username)
        if text.strip():
            await self._do(parse(text, self.room))

    async def _do(self, request) -> None:
        await self._ACTIONS[type(request)](self, request)

    async def _say(self, command: Say | Tell) -> None:
        await self.hub.handle(self.session, command)

    async def _login(self, command: Login | Rename) -> None:
        kind = Rename if self.session.person else Login
        welcome: Welcome = await self.hub.handle(self.session, kind(command.username, command.password))
        self.rooms = welcome.rooms
        if self.room not in self.session.rooms:
            self.room = None
        self.tell(f"You are {welcome.username}. {lines.people_sentence(welcome.users)}")
        if kind is Login:
            self.tell("What you type goes to everyone; /help lists what else you can do.")

    async def _join(self, command: Join) -> None:
        joined: Joined = await self.hub.handle(self.session, command)
        self.room = joined.room
        self.tell(f"You are in #{joined.room} with {' | '.join(joined.members)}.")
        if joined.history:
            self.tell(f"What was said last in #{joined.room}:")
            self._write("".join(map(lines.as_lines, joined.history)))
        self.tell(f"What you type goes to #{joined.room} now; /part leaves it, /all text goes to everyone.")

    async def _part(self, command: Part) -> None:
        here = self.room is not None and _same_room(self.room, command.room)
        if here:
            self.room = None
        await self.hub.handle(self.session, command)
        self.tell("You have left the room." + (" What you type goes to everyone again." if here else ""))

    async def _users(self, _: ListUsers) -> None:
        self._require_login()
        self.tell(lines.people_sentence(self.hub.people.shown()))

    async def _rooms(self, _: ListRooms) -> None:
        self._require_login()
        self.tell(f"Your rooms: {' | '.join(self.rooms)}" if self.rooms else "You are not a member of any room.")

    async def _help(self, _: ShowHelp) -> None:
        self.tell(usage())

    async def _quit(self, _: Quit) -> None:
        self.close("Goodbye.")

    def _require_login(self) -> None:
        if self.session.person is None:
            raise LoginRequired

    _ACTIONS = {
        Say: _say, Tell: _say, Login: _login, Rename: _login, Join: _join, Part: _part,
        ListUsers: _users, ListRooms: _rooms, ShowHelp: _help, Quit: _quit,
    }


def _same_room(one: str, other: str) -> bool:
    return one.casefold() == other.strip().removeprefix("#").casefold()


class LineDoor(TCPDoor):
    """Lines on a port; see `webchat.gateways.tcp.TCPDoor`."""

    connection = LineConnection
