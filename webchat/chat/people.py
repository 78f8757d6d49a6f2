"""Everybody who is in the chat, on this machine and on the others."""

from collections.abc import Iterable

from webchat.chat.audience import Audience, Listener
from webchat.chat.limits import TokenBucket
from webchat.chat.names import Name
from webchat.chat.presence import PresenceTracker


class Person:
    """Somebody in the chat: one name, with as many connections as he has opened.

    `sessions` are the connections to this process, `nodes` the other processes that he is connected to; whoever has
    neither is gone. `token` proves that a new connection belongs to the one who holds the name.
    """

    __slots__ = ("authenticated", "bucket", "name", "nodes", "sessions", "shown", "token")

    def __init__(self, name: Name, authenticated: bool, bucket: TokenBucket, token: str = ""):
        self.authenticated = authenticated
        self.spell(name)
        self.bucket = bucket
        self.token = token
        self.sessions = Audience()
        self.nodes: set[str] = set()

    @property
    def key(self) -> str:
        return self.name.key

    def spell(self, name: Name) -> None:
        """Show this name; an account's carries an asterisk, which nobody else's can."""
        self.name = name
        self.shown = name.text + "*" if self.authenticated else name.text


class People:
    """The people who are here, by the key of their names, and what changed among them."""

    def __init__(self, presence: PresenceTracker):
        self.presence = presence
        self._by_key: dict[str, Person] = {}
        self._names: dict[str, str] = {}  # shown, by key: a newcomer's welcome has them all
        self._shown: tuple[str, ...] | None = ()

    def find(self, key: str) -> Person | None:
        return self._by_key.get(key)

    def shown(self) -> tuple[str, ...]:
        """Everybody's shown name, in the order of arrival."""
        if self._shown is None:
            self._shown = tuple(self._names.values())
        return self._shown

    def add(self, person: Person, connection: Listener) -> None:
        """Add a connection to this process; the person is here from the first one on."""
        self._arrive(person)
        person.sessions.add(connection)

    def remove(self, person: Person, connection: Listener) -> None:
        """Remove a connection; drop the person after the last one."""
        person.sessions.discard(connection)
        self._drop_if_gone(person)

    def add_node(self, person: Person, node: str) -> None:
        """The person is connected to another process, the node of that id."""
        self._arrive(person)
        person.nodes.add(node)

    def remove_node(self, person: Person, node: str) -> None:
        """The person is not connected to that node any more."""
        person.nodes.discard(node)
        self._drop_if_gone(person)

    def _arrive(self, person: Person) -> None:
        if person.key not in self._by_key:
            self._by_key[person.key] = person
            self._names[person.key] = person.shown
            self._changed(joined=person.shown)

    def _drop_if_gone(self, person: Person) -> None:
        if not person.sessions and not person.nodes and self._by_key.get(person.key) is person:
            del self._by_key[person.key], self._names[person.key]
            self._changed(left=person.shown)

    def rename(self, person: Person, name: Name) -> None:
        """He shows the same name in another spelling."""
        before = person.shown
        person.spell(name)
        self._names[person.key] = person.shown
        self._changed(joined=person.shown, left=before)

    def on(self, node: str) -> Iterable[Person]:
        """Those who are connected to that node."""
        return [person for person in self._by_key.values() if node in person.nodes]

    def __iter__(self):
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def _changed(self, joined: str | None = None, left: str | None = None) -> None:
        self._shown = None
        if left is not None:
            self.presence.left(left)
        if joined is not None:
            self.presence.joined(joined)
