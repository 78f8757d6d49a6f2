"""What the hub needs from outside, as Protocols: a clock, message ids, and the part of a backplane that it calls."""

from collections.abc import Callable
from typing import Protocol

from webchat.chat.events import Event
from webchat.chat.names import Name
from webchat.chat.room import Room


class Clock(Protocol):
    """Time and timers, as an asyncio event loop has them."""

    def time(self) -> float:
        """Return the time in seconds; it may count from any moment, but never goes back."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        """Call `callback` after `delay` seconds."""


class Ids(Protocol):
    """Makes message ids that sort, as text, in the order of sending."""

    def __call__(self) -> tuple[str, int]:
        """Return the next id, and the time in ms since the Unix epoch."""

    def observe(self, id: str) -> None:
        """Note an id that another process made: the ids made here from now on sort after it."""


class HubBackplane(Protocol):
    """The part of a backplane that the hub calls: everything that the processes of one chat must agree on.

    Only `claim`, `recognises` and `enter` may wait for other processes. The other methods return at once and never
    raise, whatever the state of the network.
    """

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        """Claim a name in the whole chat, and return the token that proves the claim.

        Any number of connections may claim an account's name, since each of them has proved its password. A guest's
        name that is held already needs its token. Raises NameTaken, Degraded.
        """

    async def recognises(self, key: str, token: str) -> bool:
        """Return whether the token was given out for this account's name, which is still held.

        Such a token replaces the password.
        """

    def release(self, key: str) -> None:
        """Give up the claim of this process on a name: its last connection with that name has ended."""

    def publish(self, event: Event, channel: str) -> None:
        """Send an event to the other processes that listen to the channel."""

    async def enter(self, room: Room) -> None:
        """Update a room's history and members from the other processes, before somebody joins it."""

    def occupants(self, room: Room) -> None:
        """Tell the other processes who is in the room through this one, after that has changed."""
