"""One connection of a person, as the chat sees it, and the groups of them that hear the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from webchat.chat.events import Event
from webchat.chat.limits import TokenBucket

if TYPE_CHECKING:
    from webchat.chat.people import Person
    from webchat.chat.room import Room


class Outlet(Protocol):
    """Where a session's frames go: a door's send queue.

    `send` neither blocks nor raises and keeps the order; what a frame is (bytes, a packet) is the affair of the door.
    `close` ends the connection after what was sent before has left; `reason` is a sentence for the person.
    """

    def send(self, frame: Any) -> None: ...

    def close(self, reason: str) -> None: ...


class Session:
    """One connection, logged in or not.

    `encode` turns an event into this door's frame, or into None where the door has nothing to say of it; it is one and
    the same object for every session of a door, because events are encoded once for each encoder. With `echo` a
    message to everyone or to a room comes back to the connection that sent it. `address` is the peer's IP address.
    """

    __slots__ = ("address", "closed", "echo", "encode", "hints", "logging_in", "outlet", "person", "rooms")

    def __init__(self, encode: Callable[[Event], Any], outlet: Outlet, address: str, echo: bool = True):
        self.encode = encode
        self.outlet = outlet
        self.address = address
        self.echo = echo
        self.person: Person | None = None
        self.rooms: dict[str, Room] = {}
        self.logging_in = False
        self.closed = False
        self.hints: TokenBucket | None = None  # made for those who type

    @property
    def username(self) -> str | None:
        """The shown name; None before the login."""
        return self.person.shown if self.person else None

    @property
    def authenticated(self) -> bool:
        return self.person is not None and self.person.authenticated

    def send(self, event: Event) -> None:
        """Tell this session alone."""
        if (frame := self.encode(event)) is not None:
            self.outlet.send(frame)


class Audience:
    """The sessions that hear one thing, grouped by encoder: an event is encoded once for each, never for each session.

    This is the inner loop of the whole server: one call for each listener, of the `send` that his outlet has just now.
    """

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Callable[[Event], Any], dict[Session, Outlet]] = {}

    def add(self, session: Session) -> None:
        self._groups.setdefault(session.encode, {})[session] = session.outlet

    def discard(self, session: Session) -> None:
        group = self._groups.get(session.encode, {})
        group.pop(session, None)
        if not group:
            self._groups.pop(session.encode, None)

    def send(self, event: Event, skip: Session | None = None) -> None:
        """Tell everybody here, but for `skip`."""
        for encode, outlets in self._groups.items():
            if (frame := encode(event)) is None:
                continue
            if skip in outlets:
                for session, outlet in outlets.items():
                    if session is not skip:
                        outlet.send(frame)
            else:
                for outlet in outlets.values():
                    outlet.send(frame)

    def __contains__(self, session: Session) -> bool:
        return session in self._groups.get(session.encode, ())

    def __iter__(self) -> Iterator[Session]:
        for outlets in self._groups.values():
            yield from outlets

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))
