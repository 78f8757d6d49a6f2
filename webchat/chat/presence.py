"""Presence: who joined and who left, collected for a moment and then sent as one diff.

Presence is sent as a full state once, in a welcome or in the receipt of a join, and as diffs afterwards. Sending the
full list to everyone at each login would cost N² bytes. The terms are those of Phoenix.Presence.
"""

from collections.abc import Callable
from typing import NamedTuple

from webchat.chat.audience import Audience, Listener
from webchat.chat.events import Presence


class PresenceChange(NamedTuple):
    """A shown name joined, or left."""

    name: str
    joined: bool


class PresenceTracker:
    """Collects the joins and leaves of the chat (`room` is None) or of one room until `send_diff` sends them.

    A listener that was sent the full state while changes were pending receives only the changes after that.
    """

    __slots__ = ("_pending", "_room", "_schedule", "_seen")

    def __init__(self, schedule: Callable[[], None], room: str | None = None):
        """`schedule` is called at the first change after a diff; it has to arrange the next call of `send_diff`."""
        self._schedule = schedule
        self._room = room
        self._pending: list[PresenceChange] = []
        self._seen: dict[Listener, int] = {}  # how many pending changes the state that it was sent includes

    def record_join(self, name: str) -> None:
        self._record(PresenceChange(name, joined=True))

    def record_leave(self, name: str) -> None:
        self._record(PresenceChange(name, joined=False))

    def record_state_sent(self, listener: Listener) -> None:
        """Note that this listener has just been sent the full state."""
        if self._pending:
            self._seen[listener] = len(self._pending)

    def forget(self, listener: Listener) -> None:
        """Drop what is known of a listener that has left."""
        self._seen.pop(listener, None)

    @property
    def pending(self) -> bool:
        """Whether there are changes that have not been sent."""
        return bool(self._pending)

    def has_pending_join(self, name: str) -> bool:
        """Return whether this name joined since the last diff was sent."""
        return bool(self._pending) and PresenceChange(name, joined=True) in self._pending

    def send_diff(self, audience: Audience) -> None:
        """Send each listener in the audience the changes that it has not been told."""
        changes, self._pending = self._pending, []
        seen, self._seen = self._seen, {}
        for listener in seen:
            audience.discard(listener)
        if diff := self._diff(changes):
            audience.send(diff)
        for listener, count in seen.items():
            audience.add(listener)
            if diff := self._diff(changes[count:]):
                listener.send(diff)

    def _record(self, change: PresenceChange) -> None:
        if not self._pending:
            self._schedule()
        self._pending.append(change)

    def _diff(self, changes: list[PresenceChange]) -> Presence | None:
        """Return the net difference; None when nothing is left of it, as after a join and a leave of one name."""
        net: dict[str, bool] = {}
        for name, joined in changes:
            if net.get(name, joined) == joined:
                net[name] = joined
            else:
                del net[name]
        if not net:
            return None
        return Presence(tuple(name for name in net if net[name]), tuple(name for name in net if not net[name]),
                        self._room)
