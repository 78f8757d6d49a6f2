"""The JSON vocabulary: payloads to commands, events to payloads, and back again at the client."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.chat.errors import BadMessage, NameTaken
from webchat.chat.events import (
    ChatMessage,
    Join,
    Joined,
    Login,
    Notice,
    Part,
    Presence,
    Say,
    Sent,
    Tell,
    Type,
    Typing,
    Welcome,
)
from webchat.codecs import json_events

MESSAGE = ChatMessage("01", 5, "Alex*", True, "hi", room="Taskmaster")

EVENTS = [
    Welcome("ada", False, ("ada", "bob"), (), "secret"),
    MESSAGE, ChatMessage("02", 6, "ada", False, "x", to_user="bob"),
    Presence(("ada",), ("bob",)), Presence((), ("ada",), "Taskmaster"), Typing("ada"), Typing("ada", to_user="bob"),
    Notice("degraded", "Later."),
]


@pytest.mark.parametrize(("event", "payload", "command"), [
    ("connected", {"username": "ada"}, Login("ada")),
    ("login", {"username": "ada", "password": "x", "token": "y"}, Login("ada", "x", "y")),
    ("login", {"username": "ada", "password": None}, Login("ada")),
    ("message", {"message": "hi"}, Say("hi")),
    ("message", {"message": "hi", "room": "r", "colour": 7}, Say("hi", "r")),
    ("privmsg", {"to_user": "ada", "message": "hi"}, Tell("ada", "hi")),
    ("join", {"room": "r"}, Join("r")),
    ("part", {"room": "r"}, Part("r")),
    ("typing", {}, Type()),
    ("typing", None, Type()),
    ("typing", {"to_user": "ada"}, Type(to_user="ada")),
])
def test_a_payload_becomes_a_command_and_unknown_keys_are_ignored(event, payload, command):
    assert json_events.command(event, payload) == command


@pytest.mark.parametrize(("event", "payload"), [
    ("message", {}), ("message", {"message": 7}), ("message", {"message": ["x"]}), ("message", {"message": None}),
    ("message", "hi"), ("message", ["hi"]), ("message", {"message": "x", "room": 3}), ("privmsg", {"message": "x"}),
    ("join", None), ("connected", {"username": {"a": 1}}), ("connect", {}), ("disconnect", {}), ("", {}),
])
def test_a_wrong_shape_is_refused_with_a_sentence(event, payload):
    with pytest.raises(BadMessage, match=r"\w+ .*\."):
        json_events.command(event, payload)


KEYS = st.sampled_from(["message", "room", "to_user", "username"])
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(st.sampled_from(sorted(json_events.COMMAND_NAMES)), JSON)
def test_any_payload_is_a_command_or_refused(event, payload):
    try:
        command = json_events.command(event, payload)
    except BadMessage:
        return
    assert all(isinstance(getattr(command, field), str | None) for field in command.__dataclass_fields__)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_client_reads_the_event_that_the_server_wrote(event):
    assert json_events.event(*json_events.payload(event)) == event


def test_fields_that_are_none_are_left_out():
    assert json_events.payload(ChatMessage("02", 6, "ada", False, "x")) == (
        "chat_message", {"id": "02", "time": 6, "from_user": "ada", "authenticated": False, "text": "x"})


@pytest.mark.parametrize(("name", "payload"), [
    ("surprise", {}), ("typing", {}), ("typing", []), ("notice", None), ("notice", 5), ("presence", {"joined": []}),
])
def test_a_client_refuses_events_that_it_does_not_know(name, payload):
    with pytest.raises(BadMessage):
        json_events.event(name, payload)


@pytest.mark.parametrize("command", [
    Login("ada", "x", "y"), Say("hi"), Say("hi", "r"), Tell("ada", "hi"), Join("r"), Part("r"), Type(to_user="ada"),
])
def test_the_server_reads_the_command_that_a_client_wrote(command):
    assert json_events.command(*json_events.request(command)) == command


def test_a_client_reads_the_receipt_of_a_join():
    receipt = Joined("Taskmaster", ("Alex*",), (MESSAGE,))
    assert json_events.joined(json_events.acknowledgement(receipt)) == receipt
    for answer in ({"ok": True}, {"room": "r", "members": ["a"], "history": [{}]}, {"room": "r", "history": 5},
                   {"room": "r", "members": 7, "history": []}):
        with pytest.raises(BadMessage):
            json_events.joined(answer)


def test_receipts_and_refusals_are_answered_as_the_contract_says():
    assert json_events.acknowledgement(Sent("01", 5)) == {"ok": True, "id": "01", "time": 5}
    assert json_events.acknowledgement(None) == {"ok": True}
    joined = json_events.acknowledgement(Joined("Taskmaster", ("Alex*",), (MESSAGE,)))
    assert joined == {"ok": True, "room": "Taskmaster", "members": ("Alex*",), "history": [
        {"id": "01", "time": 5, "from_user": "Alex*", "authenticated": True, "text": "hi", "room": "Taskmaster"}]}
    assert json_events.error_answer(NameTaken()) == {
        "ok": False, "code": "name-taken", "message": "Somebody here already has that name."}
