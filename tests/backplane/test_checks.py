"""What other nodes say is checked like what clients say."""

from collections import Counter

import pytest

from tests.chat.fakes import Chat
from webchat.backplane.checks import Checks
from webchat.chat import names
from webchat.chat.events import ChatMessage, Typing
from webchat.codecs.node import HeldName, InvalidFrame

ID = "01a1fdd8d82a0000fe665408"

BAD_NAMES = [
    "", "*", " ada", "ada ", "a  da", "\x1b[2J", "a\x1b[2Jda", "ad\na", "ad\x9ba", "ada\u200b", "ada:", "{ada}", "#ada",
    "server", "everyone", "x" * 33, "x" * 300, "ａda", "a*da", "ada**", "\u202eada",
]
BAD_TEXTS = ["", " ", "\x1b[2J", "a\x07", "a\x9bb", "a\r\nb", "a\u2028b", "x" * 4097, "\x7f"]


def message(id=ID, time=1, from_user="Sue*", authenticated=True, text="hello\n\tthere 🎉", room=None, to_user=None):
    return ChatMessage(id, time, from_user, authenticated, text, room, to_user)


@pytest.fixture
def chat():
    return Chat()


class Log:
    """Stands in for the client: keeps the lines that it would write to the log."""

    def __init__(self):
        self.lines = []

    def log_rarely(self, level, text, *args):
        self.lines.append(text % args)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def checks(chat, log, counts):
    return Checks(chat.hub.people, log, counts)


@pytest.mark.parametrize(("sent", "channel"), [
    (message(), "everyone"), (message(from_user="ada", authenticated=False), "everyone"),
    (message(from_user="Zoë", authenticated=False, text="x" * 4096), "everyone"),
    (message(room="Taskmaster"), "room:Taskmaster"), (message(to_user="Alex*"), "user:alex"),
    (message(id="7" + "f" * 23, time=2**47 - 1), "everyone"), (message(id="0" * 24, time=0), "everyone"),
])
def test_what_a_client_can_say_passes(checks, sent, channel):
    checks.check_message(sent, channel)


@pytest.mark.parametrize("fields", [
    *({"from_user": name, "authenticated": False} for name in BAD_NAMES),
    *({"from_user": name + "*"} for name in BAD_NAMES), *({"text": text} for text in BAD_TEXTS),
    {"from_user": "Sue", "authenticated": True}, {"from_user": "Sue*", "authenticated": False},
    {"id": ""}, {"id": "8" + ID[1:]}, {"id": "f" * 24}, {"id": ID.upper()}, {"id": ID[1:]}, {"id": ID + "0"},
    {"id": ID + "\n"}, {"id": "\x1b[2J" + ID[4:]}, {"time": -1}, {"time": 2**47},
])
def test_what_no_client_can_say_is_refused(checks, fields):
    with pytest.raises(InvalidFrame):
        checks.check_message(message(**fields), "everyone")


@pytest.mark.parametrize("name", [each for each in BAD_NAMES if each != "*"])
def test_a_private_message_to_what_is_no_name_is_refused(checks, name):
    with pytest.raises(InvalidFrame):
        checks.check_message(message(to_user=name), "user:ada")
    with pytest.raises(InvalidFrame):
        checks.check_typing(Typing(name), "everyone")


@pytest.mark.parametrize(("event", "channel"), [
    (message(), "room:Taskmaster"), (message(), "user:ada"), (message(), ""), (message(room="a"), "everyone"),
    (message(room="a"), "room:b"), (message(to_user="ada"), "everyone"), (message(to_user="ada"), "room:ada"),
    (message(room="a", to_user="ada"), "room:a"), (message(room="a", to_user="ada"), ""),
])
def test_an_event_is_only_taken_on_the_channel_of_its_recipients(checks, event, channel):
    with pytest.raises(InvalidFrame, match="channel"):
        checks.check_message(event, channel)
    with pytest.raises(InvalidFrame, match="channel"):
        checks.check_typing(Typing("ada", room=event.room, to_user=event.to_user), channel)


def test_the_name_of_somebody_who_is_here_is_not_parsed_again_for_each_message(checks, chat, monkeypatch):
    chat.login("Sue", "password")
    monkeypatch.setattr(names, "parse", None)
    checks.check_message(message(), "everyone")
    checks.check_typing(Typing("Sue*"), "everyone")
    assert checks.sound_names("here", ["Sue*"]) == ("Sue*",)


def test_sound_names_pass_and_the_others_are_counted(checks, counts):
    assert checks.sound_names("here", ["ada", *BAD_NAMES, "Sue*"]) == ("ada", "Sue*")
    assert counts["junk"] == len(BAD_NAMES)


@pytest.mark.parametrize("key", ["", "zzz", "ADA", "ada "])
def test_a_person_with_another_key_than_their_name_has_is_left_out(checks, counts, key):
    ada, other = HeldName("Ada", "ada", False), HeldName("Ada", key, False)
    assert checks.sound_people("here", [other, ada]) == (ada,)
    assert counts["junk"] == 1


def test_a_person_whose_name_is_none_is_left_out(checks, counts):
    bad = [HeldName(name, names.key(name), True) for name in BAD_NAMES]
    assert (checks.sound_people("here", bad), counts["junk"]) == ((), len(bad))


def test_the_log_names_the_place_in_one_printable_line(checks, log):
    checks.drop("webchat:all", "Invalid value '\x1b[2J\n'" + "x" * 1000)
    checks.drop("webchat:all", InvalidFrame("It is too large."))
    first, second = log.lines
    assert first.startswith("Junk in webchat:all was dropped: Invalid value '?[2J?'")
    assert first.isprintable() and len(first) < 300
    assert second == "Junk in webchat:all was dropped: It is too large."
