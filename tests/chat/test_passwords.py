"""Passwords: which are allowed, what their hashes look like, and how they are compared."""

import pytest

from webchat.chat import passwords
from webchat.chat.passwords import BadPassword, cost, hashed, is_hash, matches

CHEAP = "$argon2id$v=19$m=1024,t=1,p=1$jQbmCxwXFYnhPlGlJpIbIQ$6sQ48X4/O/b0PFvs5XGHO8VzVoSoTs8FbcfFemDRuIs"
"""The hash of `password`."""


def test_a_hash_matches_its_password_alone():
    assert matches(CHEAP, "password") and not matches(CHEAP, "Password") and not matches(CHEAP, "")


def test_passwords_are_compared_in_normalised_form():
    assert matches(hashed("caf\u00e9 x"), "cafe\u0301\u00a0x")


def test_two_hashes_of_one_password_differ():
    assert hashed("password") != hashed("password")


def test_a_new_hash_and_the_dummy_hash_have_the_same_cost_and_are_valid():
    new = hashed("password")
    assert is_hash(new) and is_hash(passwords.DUMMY_HASH)
    assert cost(new) == cost(passwords.DUMMY_HASH) == 2 * 19 * 1024


@pytest.mark.parametrize("text", [
    "", "password", CHEAP.replace("argon2id", "argon2i"), CHEAP.replace("v=19", "v=16"), CHEAP + "\n", CHEAP + "$x",
    CHEAP.replace("m=1024", "m=x"),
])
def test_other_texts_are_not_hashes(text):
    assert not is_hash(text)
    assert not matches(text, "password")


def test_a_password_has_at_most_1024_characters():
    assert is_hash(hashed("x" * 1024))
    with pytest.raises(BadPassword, match="at most 1,024 characters"):
        hashed("x" * 1025)


@pytest.mark.parametrize(("password", "reason"), [("", "be empty"), ("a\0b", "contain U\\+0000"), ("a\tb", "U\\+0009")])
def test_a_password_that_rfc_8265_does_not_allow_is_refused_with_the_reason(password, reason):
    with pytest.raises(BadPassword, match=reason):
        hashed(password)
