"""What people press in character mode: corrections are carried out, and no key leaves its code in the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.codecs.keys import LONGEST_KEY, is_one, typed


@pytest.mark.parametrize("keys, text", [
    ("hello", "hello"),
    ("helo\x7flo", "hello"),
    ("x\b\b\bhi", "hi"),
    ("wrong\x15right", "right"),
    ("日本\b", "日"),
    ("one two\x17", "one "),
    ("one two  \x17", "one "),
    ("one\x17\x17two", "two"),
    ("日本 語\x17", "日本 "),
])
def test_corrections_are_carried_out(keys, text):
    assert typed(keys) == text


@pytest.mark.parametrize("key", [
    "[A", "[B", "[C", "[D", "OA", "OD", "[H", "[F", "OH", "OF", "[1~", "[4~", "[3~", "[5~", "[1;5D", "[1;2A", "OP",
    "[15~", "[24;5~", "[Z", "[200~", "[201~", "[[A", "[[E", "[a", "[7^", "[8$", "[3@", "[E", "[G", "Oa", "Oj", "OM",
    "b", "f", "d", "\x1b[A", "\x1bOD",
], ids=repr)
def test_keys_that_move_or_do_nothing_here_leave_no_trace(key):
    assert typed(f"\x1b{key}on\x1b{key}e\x1b{key}") == "one"
    assert typed(f"x\x1b{key}\x7fone") == "one", "nor do they stand between a correction and what it corrects"


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "\x1b]0;title\x07", "\x1b[31mred", "\x1b", "\x1b[", "\x1b[9999999999D",
                                  "[A", "\x1bc", "\x1b[1L", "\x1b[2K"])
def test_what_no_key_sends_stays_for_the_chat_to_make_it_harmless(text):
    assert typed(text) == text


@pytest.mark.parametrize("pressed", [
    "a", "ë", "e\u0308", "日", "👍🏽", "👨\u200d👩\u200d👧\u200d👦", "🇨🇭",
    "\x1b[A", "\x1bOP", "\x1b[1;5D", "\x1b", "\b", "\x15", "",
], ids=repr)
def test_a_character_or_a_code_is_one_key(pressed):
    assert is_one(pressed.encode())
    assert is_one(pressed.encode()[:1]), "so is a part of it"


@pytest.mark.parametrize("pressed", ["ab", "日本", "a\x1b[Ab", "👍🏽!", "x" * (LONGEST_KEY + 1)])
def test_words_are_more_than_one_key(pressed):
    assert not is_one(pressed.encode())
    assert not is_one(bytearray(pressed.encode()))


@given(st.text(alphabet="ab \b\x7f\x15\x17\x1b[OA1~"))
def test_nothing_is_invented_and_no_correction_stays(keys):
    text = typed(keys)
    assert len(text) <= len(keys)
    assert not set(text) & set("\b\x7f\x15\x17")
