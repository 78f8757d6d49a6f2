"""One connection, as the chat sees it."""

from collections.abc import Callable
from typing import Any

from webchat.chat.audience import Outlet
from webchat.chat.events import Event
from webchat.chat.limits import TokenBucket
from webchat.chat.people import Person
from webchat.chat.room import Room


class Session:
    """One connection, logged in or not; a `webchat.chat.audience.Listener`.

    With `echo` a message to everyone or to a room comes back to the connection that sent it. `address` is the peer's IP
    address.
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
        self.hints: TokenBucket | None = None  # made with the first typing hint

    @property
    def username(self) -> str | None:
        """The shown name; None before the login."""
        return self.person.shown if self.person else None

    @property
    def authenticated(self) -> bool:
        return self.person is not None and self.person.authenticated

    def send(self, event: Event) -> None:
        """Tell this connection alone."""
        if (frame := self.encode(event)) is not None:
            self.outlet.send(frame)
