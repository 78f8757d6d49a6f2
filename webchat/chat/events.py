"""Commands from clients, receipts that answer them, and events that the chat sends to clients.

All are frozen. None of them holds its recipients: the hub decides who receives an event, so that one event can be
encoded once for everybody. Names in events are shown names, such as `admin*` for an authenticated user.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """Log in with a name; with a password if it is an account's, with an earlier welcome's token to keep it."""

    username: str
    password: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    """Send a message to everyone, or to a room."""

    text: str
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a private message to one person."""

    to_user: str
    text: str


@dataclass(frozen=True, slots=True)
class Join:
    """Join a room of a group that the person is a member of."""

    room: str


@dataclass(frozen=True, slots=True)
class Part:
    """Leave a room that the connection has joined."""

    room: str


@dataclass(frozen=True, slots=True)
class Rename:
    """Change to another name; with a password if it is an account's."""

    username: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class Type:
    """Show that the person is typing: to everyone, to one person, or to a room."""

    to_user: str | None = None
    room: str | None = None


Command = Login | Say | Tell | Join | Part | Rename | Type


@dataclass(frozen=True, slots=True)
class Welcome:
    """The login succeeded.

    `username` and `users` (everybody in the chat) are shown names; `rooms` are the groups that the person is a member
    of; `token` proves later that a connection belongs to this person.
    """

    username: str
    authenticated: bool
    users: tuple[str, ...]
    rooms: tuple[str, ...]
    token: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message to everyone, to a room or to one person.

    `id`s sort, as text, in the order of sending; `time` is in ms since the Unix epoch.
    """

    id: str
    time: int
    from_user: str
    authenticated: bool
    text: str
    room: str | None = None
    to_user: str | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """The shown names that joined and left since the last such event, in the chat or in one room."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody is typing: to everyone, in a room, or to one person."""

    from_user: str
    room: str | None = None
    to_user: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message from the server: a stable code for programs, and a sentence for people."""

    code: str
    message: str


Event = Welcome | ChatMessage | Presence | Typing | Notice


@dataclass(frozen=True, slots=True)
class Sent:
    """The receipt of a message: its id, and its time in ms since the Unix epoch."""

    id: str
    time: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The receipt of a join: the shown names of the room's members, and its last messages, oldest first."""

    room: str
    members: tuple[str, ...]
    history: tuple[ChatMessage, ...]


Receipt = Welcome | Sent | Joined | None
"""The answer to a command: `Welcome` to Login and Rename, `Sent` to Say and Tell, `Joined` to Join, otherwise None."""
