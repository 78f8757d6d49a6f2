"""The default backplane: one process is the whole chat."""

import re
import secrets
from collections import Counter

from webchat.chat.errors import NameTaken
from webchat.chat.events import Event
from webchat.chat.names import Name
from webchat.chat.room import Room

TOKEN = re.compile(r"[\w-]{22,64}", re.ASCII)


def new_token(shown: str) -> str:
    """A token for a name that was free: the one that was shown with it, if it could be ours.

    Somebody with two windows, whose server was restarted under them, has both back: the first makes the token valid
    again for the second.
    """
    return shown if TOKEN.fullmatch(shown) else secrets.token_urlsafe(16)


class LocalBackplane:
    """Joins a hub to nothing: see `webchat.backplane.contract.Backplane`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # of what `/metrics` shows of the others
        self._tokens: dict[str, str] = {}

    def attach(self, hub) -> None:
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
        held = self._tokens.get(name.key)
        if held is None:
            held = self._tokens[name.key] = new_token(token)
        elif not authenticated and not secrets.compare_digest(held.encode(), token.encode()):
            raise NameTaken
        return held

    async def recognises(self, key: str, token: str) -> bool:
        """Whether the token proves that its bearer holds this account's name already: it stands for the password."""
        return bool(token) and secrets.compare_digest(self._tokens.get(key, "").encode(), token.encode())

    def release(self, key: str) -> None:
        """No connection of this process has the name any more."""
        self._tokens.pop(key, None)

    def publish(self, event: Event, channel: str) -> None:
        """Send an event to the other processes that listen to the channel."""

    async def enter(self, room: Room) -> None:
        """Somebody is about to join: bring the room's history and members up to date, if others know more."""

    def occupants(self, room: Room) -> None:
        """Who is in the room through this process has changed."""

    def health(self) -> dict:
        """What `/healthz` says of the backplane: at least `status`, "ok" or "degraded"."""
        return {"status": "ok", "backplane": "local"}
