"""The hub: every command comes here, and every event leaves from here.

The way of a message is `handle` → `publish` → `dispatch` → the audience's outlets. Between a checked message and its
writes nothing is awaited: that keeps each sender's order.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from webchat.chat import names
from webchat.chat.accounts import Account, Accounts
from webchat.chat.audience import Audience, Outlet
from webchat.chat.errors import (
    BadMessage,
    ChatError,
    LoginRequired,
    NameTaken,
    NoSuchUser,
    NotAMember,
    NotInRoom,
    ServerFull,
    SlowDown,
)
from webchat.chat.events import (
    ChatMessage,
    Command,
    Event,
    Join,
    Joined,
    Login,
    Notice,
    Part,
    Receipt,
    Rename,
    Say,
    Sent,
    Tell,
    Type,
    Typing,
    Welcome,
)
from webchat.chat.ids import Ids
from webchat.chat.limits import TokenBucket
from webchat.chat.people import People, Person
from webchat.chat.presence import PresenceTracker
from webchat.chat.room import Room, meant
from webchat.chat.session import Session
from webchat.chat.texts import clean

GATHERING = 0.09
"""Seconds over which presence is gathered; with a loop's delay it stays under the tenth of a second we promise."""

HINT_RATE, HINT_BURST = 2, 5
"""Typing hints of one connection a second and at once, to whomever; what goes beyond is dropped."""

EVERYONE = "everyone"
"""The channel that everybody hears; those of rooms and people are below."""


def room_channel(room: str) -> str:
    return "room:" + room


def user_channel(key: str) -> str:
    return "user:" + key


class Hub:
    """The chat of one process.

    `backplane` joins it to others (see `webchat.backplane.contract.Backplane` for its contract). `clock` gives `time()`
    (seconds, any origin) and `call_later(seconds, callable)`, as an asyncio loop does. `message_rate` is messages a
    second and user (0: no limit), `history` messages a room, `capacity` connections at once (0: no limit). `messages`
    counts what was said, by whom it was for, and `refusals` what was not done, by code.
    """

    def __init__(self, accounts: Accounts, backplane, clock, *, history: int = 10, message_rate: float = 0,
                 capacity: int = 0, ids: Callable[[], tuple[str, int]] | None = None):
        self.accounts = accounts
        self.sessions: set[Session] = set()
        self.everyone = Audience()
        self.people = People(PresenceTracker(lambda: clock.call_later(GATHERING, self.tell_presence)))
        self.rooms: dict[str, Room] = {}
        self.messages: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._backplane = backplane
        self._clock = clock
        self._history = history
        self._message_rate = message_rate
        self._capacity = capacity
        self._ids = ids or Ids()
        self._claims: Counter[str] = Counter()
        self._handlers: dict[type, Callable[[Session, Any], Any]] = {
            Login: self._login, Say: self._say, Tell: self._tell, Join: self._join, Part: self._part,
            Rename: self._rename, Type: self._type,
        }
        backplane.attach(self)

    # Connections.

    def open(self, *, encode: Callable[[Event], Any], outlet: Outlet, address: str, echo: bool = True) -> Session:
        """Take in a connection that has not logged in. Raises ServerFull."""
        if self._capacity and len(self.sessions) >= self._capacity:
            raise ServerFull
        session = Session(encode, outlet, address, echo)
        self.sessions.add(session)
        return session

    def close(self, session: Session) -> None:
        """The connection has ended, or is to be treated as such: nothing of it is left behind."""
        session.closed = True
        self.sessions.discard(session)
        if session.person:
            self._leave(session, session.person)

    async def handle(self, session: Session, command: Command) -> Receipt:
        """Do what a command asks for.

        Raises ChatError when it is refused; the session is then what it was before.
        """
        try:
            return await self._handlers[type(command)](session, command)
        except ChatError as error:
            self.refusals[error.code] += 1
            raise

    # Login: one step that happens wholly or not.

    async def _login(self, session: Session, command: Login) -> Welcome:
        return self._enter(session, await self._admit(session, command))

    async def _admit(self, session: Session, command: Login | Rename) -> Person:
        """Check the name, then the password, and claim the name everywhere. Nothing is left of one that is refused."""
        if session.logging_in or (session.person and isinstance(command, Login)):
            raise BadMessage("You are logged in already.")
        session.logging_in = True
        try:
            name = names.parse(command.username)
            holder = self.people.find(name.key)
            account = await self._authenticate(session, name, command, holder)
            return await self._claim(session, account.name if account else name, account is not None, command)
        finally:
            session.logging_in = False

    async def _authenticate(self, session: Session, name: names.Name, command: Login | Rename,
                            holder: Person | None) -> Account | None:
        """The account that the name belongs to, if any. Raises BadCredentials, SlowDown."""
        account = self.accounts.find(name.key)
        if not command.password and (account is None or await self._proves(command, holder)):
            return account
        return await self.accounts.verify(name, command.password, session.address)

    async def _proves(self, command: Login | Rename, holder: Person | None) -> bool:
        """Whether a token stands for the password: that of somebody who gave it, and is here."""
        token = getattr(command, "token", "")
        return bool(token and holder and holder.authenticated) and await self._backplane.recognises(holder.key, token)

    async def _claim(self, session: Session, name: names.Name, authenticated: bool, command: Login | Rename) -> Person:
        """Claim the name in the whole chat; a connection that dies meanwhile gives it back.

        Raises NameTaken, Degraded.
        """
        holder = self.people.find(name.key)
        if holder and authenticated and not holder.authenticated:
            self._displace(holder)
        elif holder and isinstance(command, Login):
            name = holder.name
        mine = session.person if session.person and session.person.key == name.key else None
        token = mine.token if mine else getattr(command, "token", "")
        self._claims[name.key] += 1
        granted = False
        try:
            token = await self._backplane.claim(name, authenticated, token)
            granted = not session.closed
        finally:
            self._claims -= Counter([name.key])
            if not granted:
                self._release(name.key)
        if not granted:
            raise BadMessage("The connection ended during the login.")
        person = self.people.find(name.key)
        if person is None or person.authenticated != authenticated:
            person = Person(name, authenticated, TokenBucket(self._message_rate, 2 * self._message_rate))
        person.token = token
        return person

    def _enter(self, session: Session, person: Person) -> Welcome:
        """Insert an admitted connection, and say what it needs to know."""
        person = self.people.find(person.key) or person
        session.person = person
        self.people.add(person, session)
        self.everyone.add(session)
        self.people.presence.up_to_date(session)
        return Welcome(person.shown, person.authenticated, self.people.shown(), self._groups(person), person.token)

    async def _rename(self, session: Session, command: Rename) -> Welcome:
        before = self._person(session)
        person = await self._admit(session, command)
        if person is before:
            if not person.authenticated:
                self.people.rename(person, names.parse(command.username))
                self.people.presence.up_to_date(session)
            return Welcome(person.shown, person.authenticated, self.people.shown(), self._groups(person), person.token)
        self._leave(session, before)
        return self._enter(session, person)

    def _leave(self, session: Session, person: Person) -> None:
        for room in list(session.rooms.values()):
            self._leave_room(session, room)
        session.person = None
        self.everyone.discard(session)
        self.people.presence.forget(session)
        self.people.remove(person, session)
        self._release(person.key)

    def _release(self, key: str) -> None:
        """Give a name back when no connection here has it, nor is about to have it."""
        person = self.people.find(key)
        if not (person and person.sessions) and not self._claims[key]:
            self._backplane.release(key)

    # Messages.

    async def _say(self, session: Session, command: Say) -> Sent:
        person = self._speaker(session)
        if command.room is None:
            message = self._message(person, clean(command.text))
            self._introduce(person.shown)
            self.publish(message, EVERYONE, skip=None if session.echo else session)
            return Sent(message.id, message.time)
        room = self._joined_room(session, command.room)
        message = self._message(person, clean(command.text), room=room.name)
        self._introduce(person.shown, room)
        room.remember(message)
        self.publish(message, room_channel(room.name), skip=None if session.echo else session)
        return Sent(message.id, message.time)

    async def _tell(self, session: Session, command: Tell) -> Sent:
        person = self._speaker(session)
        recipient = self._recipient(command.to_user)
        message = self._message(person, clean(command.text), to_user=recipient.shown)
        self._introduce(person.shown)
        self.publish(message, user_channel(recipient.key))
        if person is not recipient:
            self.publish(message, user_channel(person.key), skip=session)
        return Sent(message.id, message.time)

    async def _type(self, session: Session, command: Type) -> None:
        person, channel, hint = self._person(session), EVERYONE, {}
        if command.to_user is not None:
            recipient = self._recipient(command.to_user)
            channel, hint = user_channel(recipient.key), {"to_user": recipient.shown}
        elif command.room is not None:
            room = self._joined_room(session, command.room)
            channel, hint = room_channel(room.name), {"room": room.name}
        if session.hints is None:
            session.hints = TokenBucket(HINT_RATE, HINT_BURST)
        if session.hints.take(self._clock.time()):
            self.publish(Typing(person.shown, **hint), channel, skip=session)

    def _recipient(self, name: str) -> Person:
        if person := self.people.find(names.key(name)):
            return person
        raise NoSuchUser

    def publish(self, event: Event, channel: str, skip: Session | None = None) -> None:
        """Send an event of this process to a channel: here at once, and to the other processes that listen to it."""
        self.dispatch(event, channel, skip)
        self._backplane.publish(event, channel)

    def dispatch(self, event: Event, channel: str, skip: Session | None = None) -> None:
        """Hand an event to the sessions of this process that hear the channel."""
        if (audience := self._audience(channel)) is not None:
            audience.send(event, skip)

    def _audience(self, channel: str) -> Audience | None:
        if channel == EVERYONE:
            return self.everyone
        kind, _, key = channel.partition(":")
        if kind == "room":
            room = self.rooms.get(key)
            return room and room.sessions
        person = self.people.find(key)
        return person and person.sessions

    def _message(self, person: Person, text: str, room: str | None = None, to_user: str | None = None) -> ChatMessage:
        self.messages["room" if room else "user" if to_user else "everyone"] += 1
        id, time = self._ids()
        return ChatMessage(id, time, person.shown, person.authenticated, text, room, to_user)

    # Rooms.

    async def _join(self, session: Session, command: Join) -> Joined:
        person = self._speaker(session)
        name = self._group(person, command.room)
        room = self.rooms.get(name) or self.rooms.setdefault(name, self._new_room(name))
        await self._backplane.enter(room)
        if session.person is not person:
            raise LoginRequired
        if name not in session.rooms:
            session.rooms[name] = room
            room.enter(session, person.shown)
            self._backplane.occupants(room)
        room.presence.up_to_date(session)
        return Joined(name, room.members(), room.history)

    async def _part(self, session: Session, command: Part) -> None:
        self._person(session)
        self._leave_room(session, self._joined_room(session, command.room))

    def _new_room(self, name: str) -> Room:
        def schedule() -> None:
            self._clock.call_later(GATHERING, lambda: room.presence.tell(room.sessions))
        room = Room(name, self._history, PresenceTracker(schedule, name))
        return room

    def _leave_room(self, session: Session, room: Room) -> None:
        del session.rooms[room.name]
        room.leave(session, session.person.shown)
        self._backplane.occupants(room)

    def _groups(self, person: Person) -> tuple[str, ...]:
        account = self.accounts.find(person.key) if person.authenticated else None
        return account.rooms if account else ()

    def _group(self, person: Person, wanted: str) -> str:
        """The room's own spelling. Raises NotAMember, also for a room that does not exist."""
        if (name := meant(wanted, self._groups(person))) is None:
            raise NotAMember
        return name

    @staticmethod
    def _joined_room(session: Session, wanted: str) -> Room:
        if (name := meant(wanted, session.rooms)) is None:
            raise NotInRoom
        return session.rooms[name]

    # Presence.

    def tell_presence(self) -> None:
        """Tell everybody who came and who left since this was last done."""
        self.people.presence.tell(self.everyone)

    def _introduce(self, shown: str, room: Room | None = None) -> None:
        """Whoever speaks is introduced before his first word is heard."""
        if self.people.presence.has_joined(shown):
            self.tell_presence()
        if room and room.presence.has_joined(shown):
            room.presence.tell(room.sessions)

    # What other processes say (called by the backplane).

    def remote_joined(self, node: str, name: names.Name, authenticated: bool) -> None:
        """Somebody has connected to another node, or writes his name in another way there."""
        person = self.people.find(name.key)
        if person and person.authenticated != authenticated:
            if not authenticated:
                return  # that node does not know yet that the name is an account's
            self._displace(person)
            person = None
        if person is None:
            person = Person(name, authenticated, TokenBucket(self._message_rate, 2 * self._message_rate))
        elif person.name.text != name.text:
            self.people.rename(person, name)
        self.people.add_node(person, node)

    def remote_left(self, node: str, key: str) -> None:
        """Somebody has no connection to that node any more."""
        if person := self.people.find(key):
            self.people.remove_node(person, node)

    def remote_event(self, event: Event, channel: str) -> None:
        """Something was said on another node."""
        if isinstance(event, ChatMessage):
            self._ids.heard(event.id)
            room = self.rooms.get(event.room) if event.room is not None else None
            if room and not room.recall((event,)):
                return  # whoever is in the room has had it with the history
            self._introduce(event.from_user, room)
        self.dispatch(event, channel)

    def recall(self, room: Room, messages: Iterable[ChatMessage], deliver: bool) -> None:
        """Take over what was said elsewhere; with `deliver`, those in the room hear what they have missed."""
        for message in room.recall(messages):
            self._ids.heard(message.id)
            if deliver:
                self.dispatch(message, room_channel(room.name))

    def evict(self, key: str, notice: Notice) -> None:
        """Somebody else took this name while we were cut off: our connections of that name give way."""
        if person := self.people.find(key):
            for session in [session for session in self.sessions if session.person is person]:
                session.send(notice)
                self.close(session)
                session.outlet.close("")

    def _displace(self, guest: Person) -> None:
        """The guest's name has become an account's: he gives way, here and in what we know of other nodes."""
        self.evict(guest.key, Notice(NameTaken.code, "This name belongs to an account now."))
        for node in list(guest.nodes):
            self.people.remove_node(guest, node)

    # What every command starts with.

    @staticmethod
    def _person(session: Session) -> Person:
        if session.person is None:
            raise LoginRequired
        return session.person

    def _speaker(self, session: Session) -> Person:
        person = self._person(session)
        if not person.bucket.take(self._clock.time()):
            raise SlowDown
        return person
