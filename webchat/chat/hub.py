"""The hub: it handles the commands of all connections, and sends all events.

A message goes `handle` → `publish` → `dispatch` → `Audience.send` → the outlets of the recipients. Nothing is awaited
between the check of a message and its writes, which keeps the messages of each sender in order.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, overload

from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.allowances import (
    MESSAGES,
    NAMES,
    ROOMS,
    SENTENCES,
    TYPING,
    AddressBook,
    Allowances,
    address_rates,
    connection_rates,
)
from webchat.chat.audience import Audience, Encoder, Outlet
from webchat.chat.errors import (
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
from webchat.chat.ids import IdGenerator
from webchat.chat.login import NameClaims
from webchat.chat.people import People, Person
from webchat.chat.ports import Clock, HubBackplane, Ids
from webchat.chat.presence import PresenceTracker
from webchat.chat.room import Room, find_room_name
from webchat.chat.session import Session
from webchat.chat.texts import clean

PRESENCE_DELAY = 0.09
"""Seconds for which presence changes are collected. A late event loop included, they are sent within 0.1 s."""

SPENT: dict[type[Command], str] = {Say: MESSAGES, Tell: MESSAGES, Rename: NAMES, Join: ROOMS, Part: ROOMS}
"""Which allowance the commands of somebody who has logged in take from; they are refused if there is none left."""

EVERYONE = "everyone"
"""The channel that everybody listens to. Rooms and people have channels of their own."""


def room_channel(room: str) -> str:
    return "room:" + room


def user_channel(key: str) -> str:
    return "user:" + key


class Hub:
    """The chat of one process.

    `backplane` connects it to the other processes; attach the hub to it, and it calls the `remote_` methods,
    `merge_history` and `evict`. `message_rate` is the number of messages that each person may send a second,
    `address_rate` that of all connections of one address (by default ten times as many), `capacity` the number of
    connections at once; 0 means no limit. `history` is the number of messages that a room keeps.

    `messages` counts the messages sent here by kind of recipient ("everyone", "room", "user"), `refusals` the refused
    commands by error code. `accounts` may be replaced at any time.
    """

    def __init__(self, accounts: Accounts, backplane: HubBackplane, clock: Clock, *, history: int = 10,
                 message_rate: float = 0, address_rate: float | None = None, capacity: int = 0,
                 ids: Ids | None = None):
        self.accounts = accounts
        self.sessions: set[Session] = set()
        self.everyone = Audience()
        self.people = People(PresenceTracker(self._schedule_presence))
        self.rooms: dict[str, Room] = {}
        self.messages: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._backplane = backplane
        self._clock = clock
        self._history = history
        self._rates = connection_rates(message_rate)
        self._addresses = AddressBook(address_rates(10 * message_rate if address_rate is None else address_rate))
        self._capacity = capacity
        self._ids = ids or IdGenerator()
        self._claims = NameClaims(self.people, backplane, accounts=lambda: self.accounts,
                                  disconnect_guest=self._disconnect_guest)
        self._handlers: dict[type[Command], Callable[[Session, Person, Any], Awaitable[Receipt]]] = {
            Say: self._say, Tell: self._tell, Join: self._join, Part: self._part, Rename: self._rename,
            Type: self._type,
        }

    # Connections.

    def open(self, *, encode: Encoder, outlet: Outlet, address: str, echo: bool = True) -> Session:
        """Add a connection that has not logged in; the arguments are those of Session. Raises ServerFull."""
        if self._capacity and len(self.sessions) >= self._capacity:
            raise ServerFull
        session = Session(encode, outlet, address, echo, own=Allowances(self._rates),
                          shared=self._addresses.enter(address, self._clock.time()))
        self.sessions.add(session)
        return session

    def close(self, session: Session) -> None:
        """Remove a connection and everything that belongs to it. Closing it again does nothing."""
        if session.closed:
            return
        session.closed = True
        self.sessions.discard(session)
        self._addresses.leave(session.shared)
        if session.person:
            self._log_out(session, session.person)

    @overload
    async def handle(self, session: Session, command: Login | Rename) -> Welcome: ...

    @overload
    async def handle(self, session: Session, command: Say | Tell) -> Sent: ...

    @overload
    async def handle(self, session: Session, command: Join) -> Joined: ...

    @overload
    async def handle(self, session: Session, command: Part | Type) -> None: ...

    @overload
    async def handle(self, session: Session, command: Command) -> Receipt: ...

    async def handle(self, session: Session, command: Command) -> Receipt:
        """Execute a command of a connection. Raises ChatError if it is refused; then it has changed nothing."""
        try:
            if isinstance(command, Login):
                return await self._login(session, command)
            if session.person is None:
                raise LoginRequired
            if kind := SPENT.get(type(command)):
                self._spend(session, kind)
            return await self._handlers[type(command)](session, session.person, command)
        except ChatError as error:
            self.refusals[error.code] += 1
            raise

    def _spend(self, session: Session, kind: str) -> None:
        if not session.may(kind, self._clock.time()):
            raise SlowDown(SENTENCES[kind])

    # Logins.

    async def _login(self, session: Session, command: Login) -> Welcome:
        self._spend(session, NAMES)
        try:
            person = await self._claims.claim(session, command)
        except ChatError:
            session.shared[NAMES].give_back()  # or whoever guesses passwords would keep out all others of their address
            raise
        return self._log_in(session, person)

    async def _rename(self, session: Session, before: Person, command: Rename) -> Welcome:
        person = await self._claims.claim(session, command)
        if person is not before:
            self._detach(session, before)
            welcome = self._log_in(session, person)
            self._claims.release(before.name.key)  # unless the new person has the same: a guest who took an account
            return welcome
        if not person.authenticated:
            self.people.rename(person, names.parse(command.username))
        return self._welcome(session, person)

    def _log_in(self, session: Session, person: Person) -> Welcome:
        session.person = person
        # A person's connections share one allowance of messages. It stays with a connection that changes its name.
        person.messages = session.own[MESSAGES] = person.messages or session.own[MESSAGES]
        self.people.add_session(person, session)
        self.everyone.add(session)
        return self._welcome(session, person)

    def _log_out(self, session: Session, person: Person) -> None:
        self._detach(session, person)
        self._claims.release(person.name.key)

    def _detach(self, session: Session, person: Person) -> None:
        """Take a connection out of the chat; its name is not released yet."""
        for room in list(session.rooms.values()):
            self._leave_room(session, person, room)
        session.person = None
        self.everyone.discard(session)
        self.people.remove_session(person, session)

    def _welcome(self, session: Session, person: Person) -> Welcome:
        self.people.presence.record_state_sent(session)
        return Welcome(person.shown, person.authenticated, self.people.shown(), self._groups_of(person), person.token)

    def _disconnect_guest(self, guest: Person, but: Session | None = None) -> None:
        """Disconnect a guest from all processes, as far as this one knows: their name is an account's now.

        The connection that has logged in to the account stays.
        """
        self.evict(guest.name.key, Notice(NameTaken.code, "This name belongs to an account now."), but)
        for node in list(guest.nodes):
            self.people.remove_node(guest, node)

    # Messages.

    async def _say(self, session: Session, person: Person, command: Say) -> Sent:
        if command.room is None:
            message = self._message(person, clean(command.text))
            self._send_pending_join(person.shown)
            self.publish(message, EVERYONE, skip=None if session.echo else session)
            return Sent(message.id, message.time)
        room = self._joined_room(session, command.room)
        message = self._message(person, clean(command.text), room=room.name)
        self._send_pending_join(person.shown, room)
        room.remember(message)
        self.publish(message, room_channel(room.name), skip=None if session.echo else session)
        return Sent(message.id, message.time)

    async def _tell(self, session: Session, person: Person, command: Tell) -> Sent:
        recipient = self._recipient(command.to_user)
        message = self._message(person, clean(command.text), to_user=recipient.shown)
        self._send_pending_join(person.shown)
        self.publish(message, user_channel(recipient.name.key))
        if person is not recipient:
            self.publish(message, user_channel(person.name.key), skip=session)
        return Sent(message.id, message.time)

    async def _type(self, session: Session, person: Person, command: Type) -> None:
        if command.to_user is not None:
            recipient = self._recipient(command.to_user)
            channel, hint = user_channel(recipient.name.key), Typing(person.shown, to_user=recipient.shown)
        elif command.room is not None:
            room = self._joined_room(session, command.room)
            channel, hint = room_channel(room.name), Typing(person.shown, room=room.name)
        else:
            channel, hint = EVERYONE, Typing(person.shown)
        if session.may(TYPING, self._clock.time()):
            self.publish(hint, channel, skip=session)

    def publish(self, event: Event, channel: str, skip: Session | None = None) -> None:
        """Send an event to all who listen to a channel, except `skip`: first to those of this process."""
        self.dispatch(event, channel, skip)
        self._backplane.publish(event, channel)

    def dispatch(self, event: Event, channel: str, skip: Session | None = None) -> None:
        """Send an event to the connections of this process that listen to a channel, except `skip`."""
        if (audience := self._audience(channel)) is not None:
            audience.send(event, skip)

    def _audience(self, channel: str) -> Audience | None:
        if channel == EVERYONE:
            return self.everyone
        kind, _, key = channel.partition(":")
        place = self.rooms.get(key) if kind == "room" else self.people.find(key)
        return None if place is None else place.sessions

    def _recipient(self, name: str) -> Person:
        if person := self.people.find(names.key(name)):
            return person
        raise NoSuchUser

    def _message(self, person: Person, text: str, room: str | None = None, to_user: str | None = None) -> ChatMessage:
        self.messages["room" if room else "user" if to_user else "everyone"] += 1
        id, time = self._ids()
        return ChatMessage(id, time, person.shown, person.authenticated, text, room, to_user)

    # Rooms.

    async def _join(self, session: Session, person: Person, command: Join) -> Joined:
        name = find_room_name(command.room, self._groups_of(person))
        if name is None:
            raise NotAMember
        room = self.rooms.get(name) or self.rooms.setdefault(name, self._new_room(name))
        await self._backplane.enter(room)
        if session.person is not person:
            raise LoginRequired  # the connection ended, or changed its name, in the meantime
        if name not in session.rooms:
            session.rooms[name] = room
            room.add(session, person.shown)
            self._backplane.occupants(room)
        room.presence.record_state_sent(session)
        return Joined(name, room.members(), room.history)

    async def _part(self, session: Session, person: Person, command: Part) -> None:
        self._leave_room(session, person, self._joined_room(session, command.room))

    def _leave_room(self, session: Session, person: Person, room: Room) -> None:
        del session.rooms[room.name]
        room.remove(session, person.shown)
        self._backplane.occupants(room)

    def _new_room(self, name: str) -> Room:
        def schedule() -> None:
            self._clock.call_later(PRESENCE_DELAY, lambda: room.presence.send_diff(room.sessions))
        room = Room(name, self._history, PresenceTracker(schedule, name))
        return room

    def _groups_of(self, person: Person) -> tuple[str, ...]:
        """Return the rooms that a person is a member of; a guest has none."""
        account = self.accounts.find(person.name.key) if person.authenticated else None
        return account.rooms if account else ()

    @staticmethod
    def _joined_room(session: Session, typed: str) -> Room:
        if (name := find_room_name(typed, session.rooms)) is None:
            raise NotInRoom
        return session.rooms[name]

    # Presence.

    def _schedule_presence(self) -> None:
        self._clock.call_later(PRESENCE_DELAY, self._send_presence)

    def _send_presence(self) -> None:
        self.people.presence.send_diff(self.everyone)

    def _send_pending_join(self, shown: str, room: Room | None = None) -> None:
        """Send presence at once if it includes the join of this sender, so that it arrives before their message."""
        if self.people.presence.has_pending_join(shown):
            self._send_presence()
        if room and room.presence.has_pending_join(shown):
            room.presence.send_diff(room.sessions)

    # What happens in other processes, reported by the backplane.

    def remote_joined(self, node: str, name: names.Name, authenticated: bool) -> None:
        """Somebody connected to another process, or changed the spelling of their name there."""
        person = self.people.find(name.key)
        if person and person.authenticated != authenticated:
            if not authenticated:
                return  # that process has not yet been told that the name belongs to an account
            self._disconnect_guest(person)
            person = None
        if person is None:
            person = Person(name, authenticated)
        elif person.name.text != name.text:
            self.people.rename(person, name)
        self.people.add_node(person, node)

    def remote_left(self, node: str, key: str) -> None:
        """The last connection of a person to another process has ended."""
        if person := self.people.find(key):
            self.people.remove_node(person, node)

    def remote_event(self, event: Event, channel: str) -> None:
        """An event was published in another process."""
        if isinstance(event, ChatMessage):
            self._ids.observe(event.id)
            room = self.rooms.get(event.room) if event.room is not None else None
            if room and not room.merge_history((event,)):
                return  # it was in the history that everybody in the room has received
            self._send_pending_join(event.from_user, room)
        self.dispatch(event, channel)

    def merge_history(self, room: Room, messages: Iterable[ChatMessage], deliver: bool) -> None:
        """Merge a history that other processes kept; with `deliver`, send the new messages to those in the room."""
        for message in room.merge_history(messages):
            self._ids.observe(message.id)
            if deliver:
                self.dispatch(message, room_channel(room.name))

    def evict(self, key: str, notice: Notice, but: Session | None = None) -> None:
        """Disconnect the connections of a person to this process, except one, after a notice that says why."""
        if person := self.people.find(key):
            for session in [each for each in self.sessions if each.person is person and each is not but]:
                session.send(notice)
                self.close(session)
                session.outlet.close("")
