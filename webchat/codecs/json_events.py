"""The JSON vocabulary that Socket.IO clients and plain WebSocket clients share.

Server half: `command` turns a client's event and payload into a command, `payload` an event into its name and payload,
`acknowledgement` and `error_answer` answer requests. Client half: `request` turns a command into an event and payload,
`event` what came from a server into an event, `joined` the answer to a join into its receipt.
The names are those of the original 2012 webchat, extended.
"""

from typing import Any

from webchat.chat.errors import BadMessage, ChatError
from webchat.chat.events import (
    ChatMessage,
    Command,
    Event,
    Join,
    Joined,
    Login,
    Notice,
    Part,
    Presence,
    Receipt,
    Say,
    Sent,
    Tell,
    Type,
    Typing,
    Welcome,
)

__all__ = [  # with the commands, events and errors that clients get from here
    "COMMAND_NAMES", "MAX_REQUEST", "BadMessage", "ChatError", "ChatMessage", "Command", "Event", "Join", "Joined",
    "Login", "Notice", "Part", "Presence", "Say", "Tell", "Welcome", "acknowledgement", "command", "error_answer",
    "event", "joined", "payload", "request",
]

MAX_REQUEST = 64 * 1024
"""Bytes of a request; 4,096 characters, each escaped as a surrogate pair, with room to spare."""

_REQUIRED, _OPTIONAL = True, False

_COMMANDS: dict[str, tuple[type, dict[str, tuple[str, bool]]]] = {
    # event → command, and for each of its fields the key in the payload and whether that must be there
    "login": (Login, {"username": ("username", _REQUIRED), "password": ("password", _OPTIONAL),
                      "token": ("token", _OPTIONAL)}),
    "message": (Say, {"text": ("message", _REQUIRED), "room": ("room", _OPTIONAL)}),
    "privmsg": (Tell, {"to_user": ("to_user", _REQUIRED), "text": ("message", _REQUIRED)}),
    "join": (Join, {"room": ("room", _REQUIRED)}),
    "part": (Part, {"room": ("room", _REQUIRED)}),
    "typing": (Type, {"to_user": ("to_user", _OPTIONAL), "room": ("room", _OPTIONAL)}),
}
_REQUESTS = {make: (name, fields) for name, (make, fields) in _COMMANDS.items()}
_COMMANDS["connected"] = _COMMANDS["login"]

_EVENTS: dict[type, str] = {
    Welcome: "welcome", ChatMessage: "chat_message", Presence: "presence", Typing: "typing", Notice: "notice",
}
_BY_NAME = {name: event for event, name in _EVENTS.items()}

COMMAND_NAMES = frozenset(_COMMANDS)
"""The events that a client may send."""


def command(event: str, payload: Any) -> Command:
    """The command that a client's event asks for. Keys that we do not know are ignored. Raises BadMessage."""
    if event not in _COMMANDS:
        raise BadMessage(f"There is no event of that name; there are {', '.join(sorted(COMMAND_NAMES))}.")
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise BadMessage(f"The payload of {event} is an object.")
    make, fields = _COMMANDS[event]
    values = {}
    for field, (key, required) in fields.items():
        value = payload.get(key)
        if isinstance(value, str):
            values[field] = value
        elif value is not None:
            raise BadMessage(f"In {event}, {key} is a string.")
        elif required:
            raise BadMessage(f"In {event}, {key} is missing.")
    return make(**values)


def payload(event: Event) -> tuple[str, dict[str, Any]]:
    """An event's name and payload; fields that say nothing are left out."""
    return _EVENTS[type(event)], _fields(event)


def acknowledgement(receipt: Receipt) -> dict[str, Any]:
    """The answer to a request that succeeded."""
    match receipt:
        case Sent(id, time):
            return {"ok": True, "id": id, "time": time}
        case Joined(room, members, history):
            return {"ok": True, "room": room, "members": members, "history": [_fields(message) for message in history]}
        case _:
            return {"ok": True}


def error_answer(error: ChatError) -> dict[str, Any]:
    """The answer to a request that was refused."""
    return {"ok": False, "code": error.code, "message": str(error)}


def event(name: str, payload: dict[str, Any]) -> Event:
    """What came from a server, as an event. Raises BadMessage for a name or a shape that is not ours."""
    try:
        make = _BY_NAME[name]
        known = {key: _tuple(value) for key, value in payload.items() if key in make.__dataclass_fields__}
        return make(**known)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadMessage("The server sent something that this client does not know.") from error


def request(command: Command) -> tuple[str, dict[str, Any]]:
    """A command's event and payload; what it leaves open is left out."""
    name, fields = _REQUESTS[type(command)]
    values = ((key, getattr(command, field)) for field, (key, _) in fields.items())
    return name, {key: value for key, value in values if value is not None}


def joined(answer: dict[str, Any]) -> Joined:
    """The answer to a join, as its receipt. Raises BadMessage for a shape that is not ours."""
    try:
        history = tuple(event("chat_message", message) for message in answer["history"])
        return Joined(answer["room"], tuple(answer["members"]), history)
    except (KeyError, TypeError) as error:
        raise BadMessage("The server sent something that this client does not know.") from error


def _fields(event: Event) -> dict[str, Any]:
    return {key: value for key in event.__dataclass_fields__ if (value := getattr(event, key)) is not None}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
