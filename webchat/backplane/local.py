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
    return shown if TOKEN.fullmatch(shown) else secrets.token_urlsafe(16)


class LocalBackplane(Backplane):
    """Joins a hub to no other process."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tokens: dict[str, str] = {}

    def attach(self, hub: BackplaneHub) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        held = self._tokens.get(name.key)
        if held is None:
            held = self._tokens[name.key] = new_token(token)
        elif not authenticated and not secrets.compare_digest(held.encode(), token.encode()):
            raise NameTaken
        return held

    async def recognises(self, key: str, token: str) -> bool:
        return bool(token) and secrets.compare_digest(self._tokens.get(key, "").encode(), token.encode())

    def release(self, key: str) -> None:
        self._tokens.pop(key, None)

    def publish(self, event: Event, channel: str) -> None:
        pass

    async def enter(self, room: Room) -> None:
        pass

    def occupants(self, room: Room) -> None:
        pass

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "backplane": "local"}
