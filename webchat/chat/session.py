"""Sessions: what the chat knows of each connection."""

from webchat.chat.allowances import Allowances
from webchat.chat.audience import Encoder, Outlet
from webchat.chat.events import Event
from webchat.chat.people import Person
from webchat.chat.room import Room


class Session:
    """One connection, logged in or not; a `webchat.chat.audience.Listener`.

    With `echo`, a message to everyone or to a room is also sent to the connection that it came from. `address` is the
    peer's IP address. `person` is None before the login. `rooms` are those that the connection has joined, by name.
    `own` is what this connection may do, `shared` what all connections of its address may do; without, all they like.
    """

    __slots__ = ("address", "closed", "echo", "encode", "logging_in", "outlet", "own", "person", "rooms", "shared")

    def __init__(self, encode: Encoder, outlet: Outlet, address: str, echo: bool = True, *,
                 own: Allowances | None = None, shared: Allowances | None = None):
        self.encode = encode
        self.outlet = outlet
        self.address = address
        self.echo = echo
        self.person: Person | None = None
        self.rooms: dict[str, Room] = {}
        self.logging_in = False
        self.closed = False
        self.own = Allowances() if own is None else own
        self.shared = Allowances() if shared is None else shared

    @property
    def username(self) -> str | None:
        """The shown name; None before the login."""
        return self.person.shown if self.person else None

    @property
    def authenticated(self) -> bool:
        """Whether the person gave the password of an account."""
        return self.person is not None and self.person.authenticated

    def may(self, kind: str, now: float) -> bool:
        """Spend one of the connection's and of the address' allowances, and return whether there was one of both."""
        return self.own[kind].take(now) and self.shared[kind].take(now)

    def send(self, event: Event) -> None:
        """Send an event to this connection alone."""
        if (frame := self.encode(event)) is not None:
            self.outlet.send(frame)
