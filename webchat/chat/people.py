"""The people in the chat, connected to this process or to others."""

from webchat.chat.audience import Audience, Listener
from webchat.chat.limits import TokenBucket
from webchat.chat.names import Name
from webchat.chat.presence import PresenceTracker


class Person:
    """Somebody in the chat: one name, with any number of connections.

    `sessions` are the connections to this process, `nodes` the ids of the other processes that the person is connected
    to; a person without either has left. `token` proves that another connection belongs to the same person. `messages`
    is the allowance that their connections share; None before the first of them.
    """

    __slots__ = ("authenticated", "messages", "name", "nodes", "sessions", "shown", "token")

    def __init__(self, name: Name, authenticated: bool, token: str = ""):
        self.authenticated = authenticated
        self.set_name(name)
        self.messages: TokenBucket | None = None
        self.token = token
        self.sessions = Audience()
        self.nodes: set[str] = set()

    def set_name(self, name: Name) -> None:
        """Show this name. An account's name is shown with an asterisk, which no guest's name can contain."""
        self.name = name
        self.shown = name.text + "*" if self.authenticated else name.text


class People:
    """Everybody in the chat, by the key of their names; joins and leaves are recorded in `presence`."""

    def __init__(self, presence: PresenceTracker):
        self.presence = presence
        self._by_key: dict[str, Person] = {}
        self._names: dict[str, str] = {}  # the shown names by key: a list of all is made at each login
        self._in_use: set[str] = set()  # the same names
        self._shown: tuple[str, ...] | None = ()  # None: a name has changed since it was last made

    def find(self, key: str) -> Person | None:
        return self._by_key.get(key)

    def shown(self) -> tuple[str, ...]:
        """Return the shown names of everybody, in the order of their arrival."""
        if self._shown is None:
            self._shown = tuple(self._names.values())
        return self._shown

    def is_shown(self, name: str) -> bool:
        """Return whether this is the shown name of somebody in the chat."""
        return name in self._in_use

    def add_session(self, person: Person, session: Listener) -> None:
        """Add a connection to this process. A person's first connection is their join."""
        self._add(person)
        person.sessions.add(session)

    def remove_session(self, person: Person, session: Listener) -> None:
        """Remove a connection to this process; drop the person after the last one."""
        person.sessions.discard(session)
        self.presence.forget(session)
        self._drop_if_disconnected(person)

    def add_node(self, person: Person, node: str) -> None:
        """Note that the person is connected to the process with this id. A first connection is their join."""
        self._add(person)
        person.nodes.add(node)

    def remove_node(self, person: Person, node: str) -> None:
        """Note that the person is no longer connected to that process; drop the person after the last one."""
        person.nodes.discard(node)
        self._drop_if_disconnected(person)

    def rename(self, person: Person, name: Name) -> None:
        """Show a person's name in another spelling, with the same key."""
        before = person.shown
        person.set_name(name)
        self._names[person.name.key] = person.shown
        self._in_use.remove(before)
        self._in_use.add(person.shown)
        self._shown = None
        self.presence.record_leave(before)
        self.presence.record_join(person.shown)

    def on_node(self, node: str) -> list[Person]:
        """Return the people who are connected to the process with this id."""
        return [person for person in self._by_key.values() if node in person.nodes]

    def __len__(self) -> int:
        return len(self._by_key)

    def _add(self, person: Person) -> None:
        if person.name.key not in self._by_key:
            self._by_key[person.name.key] = person
            self._names[person.name.key] = person.shown
            self._in_use.add(person.shown)
            self._shown = None
            self.presence.record_join(person.shown)

    def _drop_if_disconnected(self, person: Person) -> None:
        if not person.sessions and not person.nodes and self._by_key.get(person.name.key) is person:
            del self._by_key[person.name.key], self._names[person.name.key]
            self._in_use.remove(person.shown)
            self._shown = None
            self.presence.record_leave(person.shown)
