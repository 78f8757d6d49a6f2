"""A room: its members, and its last messages."""

from collections import Counter, deque
from collections.abc import Iterable

from webchat.chat.audience import Audience, Listener
from webchat.chat.events import ChatMessage
from webchat.chat.presence import PresenceTracker


class Room:
    """One room. Its last messages, `limit` of them at most, are the only ones that the server keeps, in memory.

    `sessions` are the connections to this process that joined; `elsewhere` has, by the id of another process, the shown
    names of those who joined there. Joins and leaves are recorded in `presence`.
    """

    def __init__(self, name: str, history: int, presence: PresenceTracker):
        self.name = name
        self.limit = history
        self.presence = presence
        self.sessions = Audience()
        self.elsewhere: dict[str, frozenset[str]] = {}
        self._messages: deque[ChatMessage] = deque(maxlen=history)
        self._local_names: Counter[str] = Counter()  # with the number of connections of each

    @property
    def history(self) -> tuple[ChatMessage, ...]:
        """The last messages, oldest first."""
        return tuple(self._messages)

    def remember(self, message: ChatMessage) -> None:
        """Add a message that was sent in this process to the history."""
        self._messages.append(message)

    def merge_history(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Merge messages from other processes into the history; return the new ones. Both are sorted by id."""
        known = {message.id: message for message in self._messages}
        new = {message.id: message for message in messages if message.id not in known}
        merged = known | new
        self._messages.clear()
        self._messages.extend(merged[id] for id in sorted(merged))
        return [new[id] for id in sorted(new)]

    def clear_history(self) -> None:
        """Forget all messages, before a more recent history is merged."""
        self._messages.clear()

    def members(self) -> tuple[str, ...]:
        """Return the shown names of everybody in the room, each once."""
        remote = (name for names in self.elsewhere.values() for name in names)
        return tuple(dict.fromkeys([*self._local_names, *remote]))

    def local_names(self) -> frozenset[str]:
        """Return the shown names of those who joined through this process."""
        return frozenset(self._local_names)

    def add(self, session: Listener, shown: str) -> None:
        """Add a connection of the person with this shown name. Their first connection is their join."""
        was_present = self._is_present(shown)
        self.sessions.add(session)
        self._local_names[shown] += 1
        if not was_present:
            self.presence.record_join(shown)

    def remove(self, session: Listener, shown: str) -> None:
        """Remove a connection of the person with this shown name. The end of their last connection is their leave."""
        self.sessions.discard(session)
        self.presence.forget(session)
        self._local_names[shown] -= 1
        if not self._local_names[shown]:
            del self._local_names[shown]
        if not self._is_present(shown):
            self.presence.record_leave(shown)

    def set_elsewhere(self, node: str, names: frozenset[str]) -> None:
        """Replace the shown names of those who joined through another process."""
        before = set(self.members())
        if names:
            self.elsewhere[node] = names
        else:
            self.elsewhere.pop(node, None)
        after = set(self.members())
        for name in sorted(before - after):
            self.presence.record_leave(name)
        for name in sorted(after - before):
            self.presence.record_join(name)

    def _is_present(self, shown: str) -> bool:
        return shown in self._local_names or any(shown in names for names in self.elsewhere.values())


def find_room_name(typed: str, names: Iterable[str]) -> str | None:
    """Return the name that somebody typed in any case, with or without a leading `#`; None if it is not among these."""
    def folded(name: str) -> str:
        return " ".join(name.split()).removeprefix("#").casefold()

    return next((name for name in names if folded(name) == folded(typed)), None)
