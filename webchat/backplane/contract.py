"""What the hub asks of a backplane: everything that several processes must agree on."""

from collections import Counter
from typing import Any, Protocol

from webchat.backplane.hub import BackplaneHub
from webchat.chat.events import Event
from webchat.chat.names import Name
from webchat.chat.room import Room


class Backplane(Protocol):
    """What joins a hub to those of other processes.

    Only `start`, `stop`, `claim`, `recognises` and `enter` may take time. The others never block and never raise,
    whatever has become of the network. `counts` is what `/metrics` shows of the other processes.
    """

    counts: Counter[str]

    def attach(self, hub: BackplaneHub) -> None:
        """Speak to this hub from now on."""

    async def start(self) -> None:
        """Connect to the others."""

    async def stop(self) -> None:
        """Leave the others properly: our names are free at once."""

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        """Hold a name in the whole chat, and give the token that proves it.

        An account's name can be held by many connections at once, since each proved its password; anybody else's only
        by those who show the token. Raises NameTaken, Degraded.
        """

    async def recognises(self, key: str, token: str) -> bool:
        """Whether the token proves that its bearer holds this account's name already: it stands for the password."""

    def release(self, key: str) -> None:
        """No connection of this process has the name any more."""

    def publish(self, event: Event, channel: str) -> None:
        """Send an event to the other processes that listen to the channel."""

    async def enter(self, room: Room) -> None:
        """Somebody is about to join: bring the room's history and members up to date, if others know more."""

    def occupants(self, room: Room) -> None:
        """Who is in the room through this process has changed."""

    def health(self) -> dict[str, Any]:
        """What `/healthz` says of the backplane: at least `status`, "ok" or "degraded"."""
