"""Sessions: what the chat knows of each connection."""

from webchat.chat.audience import Encoder, Outlet
from webchat.chat.events import Event
from webchat.chat.limits import TokenBucket
from webchat.chat.people import Person
from webchat.chat.room import Room


class Session:
    """One connection, logged in or not; a `webchat.chat.audience.Listener`.

    With `echo`, a message to everyone or to a room is also sent to the connection that it came from. `address` is the
    peer's IP address. `person` is None before the login. `rooms` are those that the connection has joined, by name.
    """

    __slots__ = ("address", "closed", "echo", "encode", "logging_in", "outlet", "person", "rooms", "typing_limit")

    def __init__(self, encode: Encoder, outlet: Outlet, address: str, echo: bool = True):
        self.encode = encode
        self.outlet = outlet
        self.address = address
        self.echo = echo
        self.person: Person | None = None
        self.rooms: dict[str, Room] = {}
        self.logging_in = False
        self.closed = False
        self.typing_limit: TokenBucket | None = None  # made at the first typing hint: most connections send none

    @property
    def username(self) -> str | None:
        """The shown name; None before the login."""
        return self.person.shown if self.person else None

    @property
    def authenticated(self) -> bool:
        """Whether the person gave the password of an account."""
        return self.person is not None and self.person.authenticated

    def send(self, event: Event) -> None:
        """Send an event to this connection alone."""
        if (frame := self.encode(event)) is not None:
            self.outlet.send(frame)
