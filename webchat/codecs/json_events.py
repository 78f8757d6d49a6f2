"""The JSON vocabulary that Socket.IO clients and plain WebSocket clients share.

The server's half: `command` turns a client's event and payload into a command, `payload` an event into its name and
payload; `acknowledgement` and `error_answer` answer requests. The client's half: `request` turns a command into an
event and payload, `event` what the server sent into an event, `joined` the answer to a join into a receipt.
The names are those of the original 2012 webchat, extended.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar

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
"""Bytes of a request: 4,096 characters, each escaped as a surrogate pair, and some reserve."""


class _Key(NamedTuple):
    """A key of a request's payload, and the command's field that its value becomes."""

    key: str
    field: str
    required: bool = True


class _Request(NamedTuple):
    """The event that asks for a command."""

    event: str
    command: Callable[..., Command]
    keys: tuple[_Key, ...]


_TABLE = (
    _Request("login", Login, (_Key("username", "username"), _Key("password", "password", required=False),
                              _Key("token", "token", required=False))),
    _Request("message", Say, (_Key("message", "text"), _Key("room", "room", required=False))),
    _Request("privmsg", Tell, (_Key("to_user", "to_user"), _Key("message", "text"))),
    _Request("join", Join, (_Key("room", "room"),)),
    _Request("part", Part, (_Key("room", "room"),)),
    _Request("typing", Type, (_Key("to_user", "to_user", required=False), _Key("room", "room", required=False))),
)
_BY_COMMAND = {request.command: request for request in _TABLE}
_BY_EVENT = {request.event: request for request in _TABLE}
_BY_EVENT["connected"] = _BY_EVENT["login"]

_EVENT_NAMES: dict[type[Event], str] = {
    Welcome: "welcome", ChatMessage: "chat_message", Presence: "presence", Typing: "typing", Notice: "notice",
}
_EVENTS = {name: event for event, name in _EVENT_NAMES.items()}
_FIELD_NAMES = {event: tuple(field.name for field in fields(event)) for event in _EVENT_NAMES}

COMMAND_NAMES = frozenset(_BY_EVENT)
"""The events that a client may send."""


# The server's half.


def command(event: str, payload: Any) -> Command:
    """The command that a client's event asks for. Unknown keys of the payload are ignored. Raises BadMessage."""
    request = _BY_EVENT.get(event)
    if request is None:
        raise BadMessage(f"There is no event of that name; there are {', '.join(sorted(COMMAND_NAMES))}.")
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise BadMessage(f"The payload of {event} is an object.")
    values = {}
    for key, field, required in request.keys:
        value = payload.get(key)
        if isinstance(value, str):
            values[field] = value
        elif value is not None:
            raise BadMessage(f"In {event}, {key} is a string.")
        elif required:
            raise BadMessage(f"In {event}, {key} is missing.")
    return request.command(**values)


def payload(event: Event) -> tuple[str, dict[str, Any]]:
    """An event's name and payload, without the fields that are None."""
    return _EVENT_NAMES[type(event)], _fields(event)


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


def _fields(event: Event) -> dict[str, Any]:
    values = {}
    for name in _FIELD_NAMES[type(event)]:
        if (value := getattr(event, name)) is not None:
            values[name] = value
    return values


# The client's half.


EventT = TypeVar("EventT", bound=Event)

_UNKNOWN = "The server sent something that this client does not know."


def request(command: Command) -> tuple[str, dict[str, Any]]:
    """The event and the payload that ask for a command, without the fields that are None."""
    event, _, keys = _BY_COMMAND[type(command)]
    return event, {key: value for key, field, _ in keys if (value := getattr(command, field)) is not None}


def event(name: str, payload: dict[str, Any]) -> Event:
    """An event that the server sent. Raises BadMessage for an unknown name or a wrong shape."""
    if name not in _EVENTS:
        raise BadMessage(_UNKNOWN)
    return _build(_EVENTS[name], payload)


def joined(answer: dict[str, Any]) -> Joined:
    """The receipt in the answer to a join. Raises BadMessage for a wrong shape."""
    try:
        history = tuple(_build(ChatMessage, message) for message in answer["history"])
        return Joined(answer["room"], tuple(answer["members"]), history)
    except (KeyError, TypeError) as error:
        raise BadMessage(_UNKNOWN) from error


def _build(event: type[EventT], payload: Any) -> EventT:
    try:
        known = {field.name: _frozen(payload[field.name]) for field in fields(event) if field.name in payload}
        return event(**known)
    except TypeError as error:  # the payload is no object, or lacks a field
        raise BadMessage(_UNKNOWN) from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
