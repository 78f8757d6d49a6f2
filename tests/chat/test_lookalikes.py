"""Skeletons: equal for what looks alike, in any case."""

import json
import string
import sys
from importlib.resources import files
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webchat.chat.lookalikes import classes, mark, skeleton


def by_the_table(text: str) -> str:
    """The skeleton without the short way for ASCII."""
    written = classes().written
    return normalize("NFD", text).translate(written).casefold().translate(written)


@pytest.mark.parametrize(("one", "other"), [
    ("Alex", "ALEX"), ("Alex", "AIex"), ("Alex", "A1ex"), ("Alex", "A|ex"), ("Alex", "Аlех"), ("Sue", "Ѕuе"),
    ("Sue", "Sυe"), ("admin", "adrnin"), ("ADMIN", "ΑDΜΙΝ"), ("Bob", "Вob"), ("Bob", "B0b"), ("Nora", "Νora"),
    ("Bob", "bοb"),
])
def test_what_looks_alike_has_one_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [
    ("ИВАН", "иван"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Νίκος", "νίκος"), ("Élan", "éLAN"),
    ("Ж", "ж"), ("Խաչ", "ԽԱՉ"),
])
def test_case_makes_no_difference_beyond_ascii(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [
    ("Sue", "Sye"), ("Ann", "Avv"), ("Alex", "Aléx"), ("u1", "u2"), ("Ada L", "AdaL"), ("bob", "dob"), ("u7", "ue"),
])
def test_what_looks_different_has_not(one, other):
    assert skeleton(one) != skeleton(other)


def test_ascii_letters_and_digits_stay_apart_but_for_those_that_people_mix_up():
    alike: dict[str, str] = {}
    for char in string.digits + string.ascii_lowercase:
        alike[skeleton(char)] = alike.get(skeleton(char), "") + char
    assert {chars for chars in alike.values() if len(chars) > 1} == {"0o", "1il"}


def test_every_pair_of_the_standard_that_can_stand_in_a_name_is_alike():
    pairs = json.loads((files("confusable_homoglyphs") / "confusables.json").read_bytes())
    bare = [(one.replace("\u200e", ""), other["c"].replace("\u200e", ""))
            for one, others in pairs.items() for other in others]
    possible = [pair for pair in bare if all(is_normalized(form, x) for form in ("NFKC", "NFD") for x in pair)]
    # Between Latin letters: there appearance always counts for more than case.
    assert len(possible) > 4_000
    assert [pair for pair in possible if skeleton(f"x{pair[0]}x") != skeleton(f"x{pair[1]}x")] == []


def test_few_letters_tell_their_cases_apart():
    cased = (char for char in map(chr, range(sys.maxunicode)) if char != char.casefold())
    apart = [char for char in cased if is_normalized("NFKC", char) and skeleton(char) != skeleton(char.casefold())]
    assert len(apart) < 60 and {"Ν", "Υ", "Η"} < set(apart)


def test_ascii_is_the_table_written_out():
    assert [skeleton(chr(code)) for code in range(128)] == [by_the_table(chr(code)) for code in range(128)]


@given(st.text(st.characters(max_codepoint=127)))
@settings(max_examples=100)
def test_the_short_way_for_ascii_leads_to_the_same_place(text):
    assert skeleton(text) == by_the_table(text)


@pytest.mark.parametrize(("char", "look"), [
    ("\u2236", ":"), ("\ua789", ":"), ("\u2044", "/"), ("\u2774", "{"), ("\u0903", "\u0903"), ("ノ", "ノ"), ("a", "a"),
])
def test_only_marks_and_symbols_pass_for_marks(char, look):
    assert mark(char) == look
