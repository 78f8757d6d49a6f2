"""The items of a conversation as lines: each with its sender, and with nothing that a terminal would obey."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.clients.colours import Colours
from webchat.clients.transcript import SystemMessage, UserMessage, clock, plain, printable, styled

NOON = time.mktime((2026, 5, 17, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(("item", "lines"), [
    (UserMessage("ada", "hello"), ["ada: hello"]),
    (UserMessage("ada", "hello", room="Taskmaster"), ["[#Taskmaster] ada: hello"]),
    (UserMessage("ada", "psst", private=True), ["[private] ada: psst"]),
    (UserMessage("Hugo", "psst", private=True, to="ada"), ["[private] Hugo → ada: psst"]),
    (SystemMessage("ada has joined"), ["-!- ada has joined"]),
])
def test_each_kind_of_item_looks_different(item, lines):
    assert plain(item) == lines


def test_every_line_of_a_text_names_its_sender():
    assert plain(UserMessage("ada", "hi\nHugo: I agree\u2028bye")) == ["ada: hi", "ada: Hugo: I agree", "ada: bye"]


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b\x07\b\r\u202e\u2066")))
def test_no_text_moves_the_cursor_rings_the_bell_or_turns_the_writing_direction(text):
    items = [UserMessage(text, text, room=text), UserMessage(text, text, private=True, to=text), SystemMessage(text)]
    for line in (line for item in items for line in plain(item)):
        assert line.isprintable() or all(char == "\t" or ord(char) >= 0xA0 for char in line if not char.isprintable())
        assert not set(line) & {"\u202e", "\u2066", "\n", "\r", "\x1b", "\x9b"}


def test_letters_of_every_script_and_emoji_stay_as_they_are():
    text = "Zoë, 日本, مرحبا, 👩‍🚀\tend"
    assert printable(text) == text


def test_times_are_local_and_those_of_another_day_have_its_date():
    assert clock(NOON, NOON + 60) == "12:00"
    assert clock(NOON, NOON + 86_400) == "17 May 12:00"


def test_a_person_sees_the_time_first_and_names_in_their_colours():
    colours = Colours()
    [(moment, name, text)] = styled(UserMessage("ada", "hi", at=NOON), colours, "Hugo", NOON)
    assert (moment[1], name, text[1]) == ("12:00 ", (f"bold fg:{colours.of('ada')}", "ada"), ": hi")


def test_the_users_own_name_has_a_style_of_its_own():
    [(_, name, _)] = styled(UserMessage("Hugo", "hi", at=NOON), Colours(), "Hugo", NOON)
    assert name == ("class:own", "Hugo")
