"""Colours by which people can be told apart, on any terminal."""

from itertools import pairwise

import pytest

from webchat.clients.colours import PALETTE, Colours
from webchat.clients.terminal.screen import GREY


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [*PALETTE, GREY])
def test_each_is_legible_on_black_and_on_white(colour):
    of = luminance(colour)
    assert 1.05 / (of + 0.05) >= 4
    assert (of + 0.05) / 0.05 >= 4


@pytest.mark.parametrize("colour", PALETTE)
def test_each_is_one_that_a_terminal_of_256_colours_has(colour):
    assert {int(colour[at : at + 2], 16) for at in (1, 3, 5)} <= {0, 95, 135, 175, 215, 255}


def test_no_colour_is_used_twice_before_all_are_in_use():
    colours = Colours()
    given = [colours.of(f"guest{number}") for number in range(2 * len(PALETTE))]
    assert sorted(given[: len(PALETTE)]) == sorted(given[len(PALETTE) :]) == sorted(PALETTE)


def test_a_person_keeps_their_colour_with_or_without_the_badge():
    colours = Colours()
    first = colours.of("Sue")
    for name in ("ada", "bob"):
        assert colours.of(name) != first
    assert colours.of("Sue*") == colours.of("sue") == first


def test_a_person_has_the_same_colour_in_every_client():
    assert len({Colours().of("Hugo") for _ in range(3)}) == 1
    assert any(Colours().of(one) != Colours().of(other) for one, other in pairwise(["ada", "bob", "Hugo", "Sue"]))
