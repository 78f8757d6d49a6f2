"""What a person types: text, slash commands, quotes, and the table that `/help` prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.chat.errors import BadMessage, ChatError, Empty, NotInRoom
from webchat.chat.events import Join, Login, Part, Rename, Say, Tell
from webchat.codecs.commands import (
    COMMANDS,
    ListRooms,
    ListUsers,
    Quit,
    ShowHelp,
    introduction,
    parse,
    usage,
    without_own_name,
)


@pytest.mark.parametrize("line, command", [
    ("hello", Say("hello")),
    ("//etc/hosts", Say("/etc/hosts")),
    ("/users", ListUsers()),
    ("/USERS  ", ListUsers()),
    ("/rooms", ListRooms()),
    ("/help", ShowHelp()),
    ("/quit", Quit()),
    ("/nick Zoë", Rename("Zoë")),
    ('/nick "Ada Love"', Rename("Ada Love")),
    ("/nick Ada Love", Rename("Ada Love")),
    ("/login Sue pass word", Login("Sue", "pass word")),
    ('/login "Ada Love" " x "', Login("Ada Love", " x ")),
    ('/login Sue a"b', Login("Sue", 'a"b')),
    ('/login Sue "a" "b"', Login("Sue", '"a" "b"')),
    ("/msg Sue hello there", Tell("Sue", "hello there")),
    ('/msg "Ada Love"  hi', Tell("Ada Love", "hi")),
    ("/msg O'Neill it's me", Tell("O'Neill", "it's me")),
    ("/me waves", Say("_waves_")),
    ("/all hi", Say("hi")),
    ("/join 8 out of 10 cats", Join("8 out of 10 cats")),
    ('/join "Taskmaster"', Join("Taskmaster")),
    ("/part Taskmaster", Part("Taskmaster")),
])
def test_a_line_asks_for_a_command(line, command):
    assert parse(line) == command


@pytest.mark.parametrize("line, command", [
    ("hello", Say("hello", "Taskmaster")),
    ("//hello", Say("/hello", "Taskmaster")),
    ("/me waves", Say("_waves_", "Taskmaster")),
    ("/all hi", Say("hi")),
    ("/part", Part("Taskmaster")),
    ("/part Quite Interesting", Part("Quite Interesting")),
])
def test_text_goes_to_the_room_that_one_is_talking_in(line, command):
    assert parse(line, "Taskmaster") == command


@pytest.mark.parametrize("line, error, sentence", [
    ("/dance", BadMessage, "There is no command /dance; /help lists all commands."),
    ("/" + "x" * 100, BadMessage, f"There is no command /{'x' * 31}; /help lists all commands."),
    ("/", BadMessage, "There is no command /; /help lists all commands."),
    ("/NICK", Empty, "Usage: /nick NAME"),
    ("/login Sue", Empty, "Usage: /login NAME PASSWORD"),
    ("/msg Sue", Empty, "Add the text for Sue: /msg NAME text"),
    ('/msg "Ada hi', BadMessage, 'A name that begins with a quote (") has to end with one.'),
    ("/part", NotInRoom, "You are not talking in a room."),
])
def test_a_command_that_lacks_something_is_refused_with_a_sentence(line, error, sentence):
    with pytest.raises(error) as refusal:
        parse(line)
    assert str(refusal.value) == sentence


@given(st.text(alphabet='/" abmsg\u00e9', max_size=20), st.none() | st.just("Taskmaster"))
def test_any_line_is_a_command_or_refused(line, room):
    try:
        parse(line, room)
    except ChatError as refusal:
        assert str(refusal).endswith((".", "NAME", "PASSWORD", "text", "ROOM"))


def test_help_shows_every_command_with_its_arguments_in_columns():
    lines = usage().splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    starts = {line.index(f"  {entry.help}") for line, entry in zip(lines, COMMANDS.values(), strict=True)}
    assert len(starts) == 1
    assert all(entry.arguments in line for line, entry in zip(lines, COMMANDS.values(), strict=True))


@pytest.mark.parametrize("line, text", [
    ("Hugo: hello", "hello"), ("hugo:hello", "hello"), ("Hugo:  two blanks", " two blanks"), (" Hugo : hello", "hello"),
    ("Hugo: Hugo: hello", "Hugo: hello"), ("ada: hello", "ada: hello"), ("hello", "hello"), (": hello", ": hello"),
    ("", ""), ("x" * 65 + ": hello", "x" * 65 + ": hello"),
])
def test_a_repetition_of_ones_own_name_before_a_text_is_dropped_once(line, text):
    assert without_own_name(line, "Hugo") == text


@pytest.mark.parametrize("line, name, text", [
    ("Hugo", "Hugo", ""), (" Hugo ", "Hugo", ""), ("Hugo: hello: there", "Hugo", "hello: there"), (": hi", "", "hi"),
])
def test_a_first_line_holds_a_name_and_perhaps_a_text(line, name, text):
    assert introduction(line) == (name, text)
