"""Comings and goings in one place, gathered and then told as differences."""

from collections.abc import Callable, Iterator

from webchat.chat.audience import Audience, Listener
from webchat.chat.events import Presence


class PresenceTracker:
    """Who came and who left since it was last told, in the chat (`room` None) or in one room.

    Presence travels as state once, with the welcome or the receipt of a join, and as differences afterwards; those of
    a tenth of a second go together, because a list to everyone at each login costs N² bytes. Somebody who came in the
    meantime is told only what changed after, since the state that he was given held the rest already.
    """

    __slots__ = ("_log", "_newcomers", "_room", "_schedule")

    def __init__(self, schedule: Callable[[], None], room: str | None = None):
        """`schedule` is called at the first change after a `tell`; it has `tell` called a little later."""
        self._schedule = schedule
        self._room = room
        self._log: list[tuple[str, bool]] = []
        self._newcomers: dict[Listener, int] = {}

    def joined(self, name: str) -> None:
        self._record(name, True)

    def left(self, name: str) -> None:
        self._record(name, False)

    def up_to_date(self, session: Listener) -> None:
        """This session has just been given the whole state."""
        if self._log:
            self._newcomers[session] = len(self._log)

    @property
    def pending(self) -> bool:
        """Whether something changed that has not been told."""
        return bool(self._log)

    def has_joined(self, name: str) -> bool:
        """Whether this name has come without anybody having been told yet."""
        return self.pending and (name, True) in self._log

    def forget(self, session: Listener) -> None:
        """This session is gone."""
        self._newcomers.pop(session, None)

    def tell(self, audience: Audience) -> None:
        """Tell everybody in the audience what changed since he was last told."""
        log, newcomers = self._log, self._newcomers
        if not log:
            return
        self._log, self._newcomers = [], {}
        if not newcomers:
            self._tell(audience, log)
            return
        for session in newcomers:
            audience.discard(session)
        self._tell(audience, log)
        for session, since in newcomers.items():
            audience.add(session)
            for event in self._difference(log[since:]):
                session.send(event)

    def _record(self, name: str, here: bool) -> None:
        if not self._log:
            self._schedule()
        self._log.append((name, here))

    def _tell(self, audience: Audience, log: list[tuple[str, bool]]) -> None:
        for event in self._difference(log):
            audience.send(event)

    def _difference(self, log: list[tuple[str, bool]]) -> Iterator[Presence]:
        """At most one event: somebody who came and left again, or left and came back, did not change."""
        net: dict[str, bool] = {}
        for name, here in log:
            if net.get(name, here) == here:
                net[name] = here
            else:
                del net[name]
        if net:
            joined = tuple(name for name, here in net.items() if here)
            left = tuple(name for name, here in net.items() if not here)
            yield Presence(joined, left, self._room)
