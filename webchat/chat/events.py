"""What people ask of the chat (commands) and what the chat tells them (events).

All are frozen, and none knows its recipients: who hears an event is the hub's decision, so that one event can be
encoded once for everybody. Names in events are shown names (`admin*` for an authenticated user).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Login:
    """Ask for a name; with a password for an account, or with a token to take one's own name back."""

    username: str
    password: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    """Say something to everyone, or to a room."""

    text: str
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Say something to one person."""

    to_user: str
    text: str


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room that one is a member of."""

    room: str


@dataclass(frozen=True, slots=True)
class Part:
    """Leave a room."""

    room: str


@dataclass(frozen=True, slots=True)
class Rename:
    """Take another name; with a password, an account's."""

    username: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class Type:
    """Hint that one is typing: to everyone, to a person or in a room."""

    to_user: str | None = None
    room: str | None = None


Command = Login | Say | Tell | Join | Part | Rename | Type


@dataclass(frozen=True, slots=True)
class Welcome:
    """The login succeeded: who one is, who is here, which rooms one is a member of."""

    username: str
    authenticated: bool
    users: tuple[str, ...]
    rooms: tuple[str, ...]
    token: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message. `time` is in ms since the Unix epoch; `id`s sort in the order of sending."""

    id: str
    time: int
    from_user: str
    authenticated: bool
    text: str
    room: str | None = None
    to_user: str | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """Who came and who left since the last such event, in the chat or in one room."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody is typing."""

    from_user: str
    room: str | None = None
    to_user: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A word from the server itself."""

    code: str
    message: str


Event = Welcome | ChatMessage | Presence | Typing | Notice


@dataclass(frozen=True, slots=True)
class Sent:
    """The receipt for a message."""

    id: str
    time: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The receipt for entering a room: who is in it, and what was last said there, oldest first."""

    room: str
    members: tuple[str, ...]
    history: tuple[ChatMessage, ...]


Receipt = Welcome | Sent | Joined | None
"""What a command is answered with: a login (or a new name) with a welcome, a message with `Sent`, a join with
`Joined`, everything else with nothing."""


class Prepared:
    """An event on its way to many: encoded at most once for each codec.

    `frame(encode)` returns what `encode(event)` returned the first time; its type is the codec's own affair.
    """

    __slots__ = ("event", "frames")

    def __init__(self, event: Event):
        self.event = event
        self.frames: dict[Callable[[Event], Any], Any] = {}

    def frame(self, encode: Callable[[Event], Any]) -> Any:
        try:
            return self.frames[encode]
        except KeyError:
            frame = self.frames[encode] = encode(self.event)
            return frame
