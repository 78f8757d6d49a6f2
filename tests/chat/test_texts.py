"""The text of messages: what is kept, what is replaced, what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webchat.chat.errors import Empty, TooLong
from webchat.chat.texts import clean


@pytest.mark.parametrize("text", [
    "hello", "  indented\n\ttwice ", "日本語 🙂\ufe0f", "e\u0301", "<b>&amp;</b>", "{ALL}x", "a\u200db",
    "\u202eabc\u202c",
])
def test_ordinary_text_is_not_changed(text):
    assert clean(text) == text


@pytest.mark.parametrize("char", "\0\a\b\v\f\x1b\x1f\x7f\x80\x85\x9b\x9f\r")
def test_control_characters_are_replaced(char):
    assert clean(f"a{char}b") == "a\ufffdb"


def test_an_unpaired_surrogate_is_replaced_because_it_cannot_be_encoded():
    assert clean("a\ud83db").encode() == "a\ufffdb".encode()


@pytest.mark.parametrize("end", ["\r\n", "\u2028", "\u2029"])
def test_line_separators_become_newlines_so_that_gateways_name_the_sender_of_each_line(end):
    assert clean(f"a{end}b") == "a\nb"


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n", "\u3000\u00a0\u2028"])
def test_blank_text_is_refused(text):
    with pytest.raises(Empty):
        clean(text)


def test_a_text_of_4096_code_points_is_accepted_and_a_longer_one_refused():
    assert len(clean("🙂" * 4096)) == 4096
    assert len(clean("a\r\n" * 1365 + "b")) == 2731
    with pytest.raises(TooLong, match="4,096 characters, and this one has 4,097"):
        clean("x" * 4097)


@given(st.text(st.characters(), max_size=60))
@settings(max_examples=100)
def test_any_cleaned_text_can_be_encoded_and_contains_no_controls(text):
    try:
        cleaned = clean(text)
    except Empty:
        return
    cleaned.encode()
    assert not any(ord(char) < 32 and char not in "\n\t" or 127 <= ord(char) < 160 for char in cleaned)
    assert cleaned.split("\n") == cleaned.splitlines() or cleaned.endswith("\n")
    assert clean(cleaned) == cleaned
