"""The default backplane: one process is the whole chat."""

import re
import secrets
from collections import Counter
from typing import Any

from webchat.backplane.contract import Backplane
from webchat.backplane.hub import BackplaneHub
from webchat.chat.errors import NameTaken
from webchat.chat.events import Event
from webchat.chat.names import Name
from webchat.chat.room import Room

TOKEN = re.compile(r"[\w-]{22,64}", re.ASCII)


def new_token(shown: str) -> str:
    """A token for a name that was free: the one that the client showed, if it has the form of a token.

    So a person with two windows, whose server was restarted, gets both back: the first window makes the token valid
    again for the second.
    """
    return shown if TOKEN.fullmatch(shown) else secrets.token_hex(16)


def is_same_token(expected: str, token: str) -> bool:
    """Compare tokens, of which the second may be any text, in a time that does not tell how much of it is right."""
    return secrets.compare_digest(expected.encode(), token.encode("utf-8", "surrogatepass"))


class LocalBackplane(Backplane):
    """Joins a hub to no other process."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._held: dict[str, tuple[bool, str]] = {}  # by key: whether it is an account's, and the token

    def attach(self, hub: BackplaneHub) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        of_account, expected = self._held.get(name.key, (False, ""))
        if not expected or (authenticated and not of_account):
            expected = new_token(token)
        elif authenticated != of_account or not (authenticated or is_same_token(expected, token)):
            raise NameTaken
        self._held[name.key] = authenticated, expected
        return expected

    async def recognises(self, key: str, token: str) -> bool:
        of_account, expected = self._held.get(key, (False, ""))
        return of_account and is_same_token(expected, token)

    def release(self, key: str) -> None:
        self._held.pop(key, None)

    def publish(self, event: Event, channel: str) -> None:
        pass

    async def enter(self, room: Room) -> None:
        pass

    def occupants(self, room: Room) -> None:
        pass

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "backplane": "local"}
