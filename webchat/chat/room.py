"""A group's room: who is in it, and the last that was said."""

from collections import Counter, deque
from collections.abc import Iterable

from webchat.chat.audience import Audience, Listener
from webchat.chat.events import ChatMessage
from webchat.chat.presence import PresenceTracker


class Room:
    """One room. It holds the only messages that the server keeps: the last few, in memory.

    `sessions` are the connections of this process that joined; `elsewhere` has, for each other node, the shown names
    of those who joined there.
    """

    def __init__(self, name: str, history: int, presence: PresenceTracker):
        self.name = name
        self.limit = history
        self.presence = presence
        self.sessions = Audience()
        self.elsewhere: dict[str, frozenset[str]] = {}
        self._last: deque[ChatMessage] = deque(maxlen=history)
        self._here: Counter[str] = Counter()

    @property
    def history(self) -> tuple[ChatMessage, ...]:
        """The last messages, oldest first."""
        return tuple(self._last)

    def remember(self, message: ChatMessage) -> None:
        self._last.append(message)

    def recall(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Take over what was said on other nodes, in the order of the ids; returns those that were not known yet."""
        last = {message.id: message for message in self._last}
        new = {message.id: message for message in messages if message.id not in last}
        known = last | new
        self._last.clear()
        self._last.extend(known[id] for id in sorted(known))
        return [new[id] for id in sorted(new)]

    def forget(self) -> None:
        """Others know better what was said last."""
        self._last.clear()

    def members(self) -> tuple[str, ...]:
        """The shown names of those who are in the room, each once."""
        return tuple(dict.fromkeys([*self._here, *(name for names in self.elsewhere.values() for name in names)]))

    def local_names(self) -> frozenset[str]:
        """The shown names of those who joined through this process."""
        return frozenset(self._here)

    def enter(self, session: Listener, shown: str) -> None:
        present = self._present(shown)
        self.sessions.add(session)
        self._here[shown] += 1
        if not present:
            self.presence.joined(shown)

    def leave(self, session: Listener, shown: str) -> None:
        self.sessions.discard(session)
        self.presence.forget(session)
        self._here[shown] -= 1
        if not self._here[shown]:
            del self._here[shown]
        if not self._present(shown):
            self.presence.left(shown)

    def set_elsewhere(self, node: str, names: frozenset[str]) -> None:
        """Those who joined on another node are now exactly these."""
        before = set(self.members())
        if names:
            self.elsewhere[node] = names
        else:
            self.elsewhere.pop(node, None)
        after = set(self.members())
        for name in sorted(before - after):
            self.presence.left(name)
        for name in sorted(after - before):
            self.presence.joined(name)

    def _present(self, shown: str) -> bool:
        return shown in self._here or any(shown in names for names in self.elsewhere.values())


def meant(wanted: str, names: Iterable[str]) -> str | None:
    """The room among these that somebody means: in any case, with or without a `#` before it."""
    def key(name: str) -> str:
        return " ".join(name.split()).removeprefix("#").casefold()

    return next((name for name in names if key(name) == key(wanted)), None)
