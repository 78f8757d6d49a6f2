"""Skeletons are equal for texts that look alike, in any case."""

import json
import string
import sys
from importlib.resources import files
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webchat.chat.lookalikes import classes, skeleton, symbol_skeleton


def skeleton_by_table(text: str) -> str:
    """The skeleton of a text without the shortcut for ASCII."""
    replacements = classes().replacements
    return normalize("NFD", text).translate(replacements).casefold().translate(replacements)


@pytest.mark.parametrize(("one", "other"), [
    ("Alex", "ALEX"), ("Alex", "AIex"), ("Alex", "A1ex"), ("Alex", "A|ex"), ("Alex", "Аlех"), ("Sue", "Ѕuе"),
    ("Sue", "Sυe"), ("admin", "adrnin"), ("ADMIN", "ΑDΜΙΝ"), ("Bob", "Вob"), ("Bob", "B0b"), ("Nora", "Νora"),
    ("Bob", "bοb"),
])
def test_texts_that_look_alike_have_the_same_skeleton(one, other):
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
def test_texts_that_look_different_have_different_skeletons(one, other):
    assert skeleton(one) != skeleton(other)


def test_ascii_letters_and_digits_stay_apart_except_those_that_people_mix_up():
    alike: dict[str, str] = {}
    for char in string.digits + string.ascii_lowercase:
        alike[skeleton(char)] = alike.get(skeleton(char), "") + char
    assert {chars for chars in alike.values() if len(chars) > 1} == {"0o", "1il"}


def test_all_pairs_of_the_standard_that_can_occur_in_a_name_have_the_same_skeleton():
    pairs = json.loads((files("confusable_homoglyphs") / "confusables.json").read_bytes())
    bare = [(one.replace("\u200e", ""), other["c"].replace("\u200e", ""))
            for one, others in pairs.items() for other in others]
    possible = [pair for pair in bare if all(is_normalized(form, x) for form in ("NFKC", "NFD") for x in pair)]
    assert len(possible) > 4_000
    # Each stands between Latin letters, because there appearance always matters more than case.
    assert [pair for pair in possible if skeleton(f"x{pair[0]}x") != skeleton(f"x{pair[1]}x")] == []


def test_only_a_few_letters_have_different_skeletons_in_upper_and_lower_case():
    cased = (char for char in map(chr, range(sys.maxunicode)) if char != char.casefold())
    apart = [char for char in cased if is_normalized("NFKC", char) and skeleton(char) != skeleton(char.casefold())]
    assert len(apart) < 60 and {"Ν", "Υ", "Η"} < set(apart)


def test_the_shortcut_for_ascii_agrees_with_the_table_on_each_character():
    assert [skeleton(chr(code)) for code in range(128)] == [skeleton_by_table(chr(code)) for code in range(128)]


@given(st.text(st.characters(max_codepoint=127)))
@settings(max_examples=100)
def test_the_shortcut_for_ascii_agrees_with_the_table_on_any_text(text):
    assert skeleton(text) == skeleton_by_table(text)


@pytest.mark.parametrize(("char", "look"), [
    ("\u2236", ":"), ("\ua789", ":"), ("\u2044", "/"), ("\u2774", "{"), ("\u0903", "\u0903"), ("ノ", "ノ"), ("a", "a"),
])
def test_punctuation_and_symbols_become_what_they_look_like_and_letters_and_accents_do_not(char, look):
    assert symbol_skeleton(char) == look
