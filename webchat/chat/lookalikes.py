"""Which texts look alike: confusable skeletons (Unicode Technical Standard #39, section 4), without regard to case.

The skeleton of the standard keeps upper and lower case apart, but names are compared in any case. Folding the case
before the skeleton would miss the Cyrillic В in `Вob`; folding it afterwards would make `ИВАН` and `иван` different.
So characters are grouped into classes here: those that look the same, in either case, are one class, and a skeleton
has the same string for all of them.

A few letters, most of them Greek, look like one ASCII letter in upper case and like another in lower case: Ν looks like
N, but ν like v. Their cases stay apart, because appearance matters more than case, unless the text has no characters
that make it readable as Latin.
"""

import json
import re
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from unicodedata import category, is_normalized, normalize

ASCII_REPLACEMENTS = str.maketrans(
    {"0": "o", "1": "i", "l": "i", "|": "i", "m": "rn", "%": "º/₀", '"': "''", "`": "'"})
"""What `classes().replacements` does to ASCII in lower case, so that most names do not need that table.

`l` becomes `i` because it looks like `I`.
"""

LATIN_LETTER = re.compile("[A-Za-z]")


def skeleton(text: str) -> str:
    """Return a string that is the same for all texts that look alike in any case; `text` has to be in NFKC."""
    if text.isascii():
        return text.lower().translate(ASCII_REPLACEMENTS)
    replacements, latin = classes()
    text = normalize("NFD", text)
    if not LATIN_LETTER.search(text) and any(char.isalpha() and char not in latin for char in text):
        text = text.casefold()
    return normalize("NFD", text.translate(replacements).casefold().translate(replacements))


def symbol_skeleton(char: str) -> str:
    """Return the skeleton of a punctuation mark or symbol, such as `:` for U+2236 RATIO; other characters unchanged."""
    return skeleton(char) if category(char)[0] in "PS" or category(char) == "Lm" else char


class Classes(NamedTuple):
    """The string that replaces each code point in a skeleton, and the characters that look like Latin letters."""

    replacements: dict[int, str]
    latin: frozenset[str]


@cache
def classes() -> Classes:
    """Build the classes as disjoint sets: `parents` leads from each string to the one that represents its class.

    This takes some 50 ms, at the first text beyond ASCII.
    """
    parents = _prototypes()
    latin = frozenset(char for char, prototype in parents.items() if prototype.isascii())
    for char in map(chr, range(128)):
        _union(parents, char, char.lower())
    # Foldings to several letters come first: ß has to be ss before it can join any other class.
    cased = filter(_has_case, {*parents, *parents.values()})
    for char in sorted(cased, key=lambda char: (-len(char.casefold()), char)):
        folded = char.casefold()
        if not (_keeps_cases_apart(_find(parents, char)) and _keeps_cases_apart(_find(parents, folded))):
            _union(parents, char, folded)
    replacements = {ord(char): _replacement(parents, char) for char in parents if len(char) == 1}
    return Classes({code: text for code, text in replacements.items() if text != chr(code)}, latin)


def _prototypes() -> dict[str, str]:
    """Return the prototype of each character: the string that the standard maps it and its look-alikes to.

    The library stores each pair in both directions. A prototype is the side that has many look-alikes or several
    letters. Left-to-right marks, which only keep the standard's own text in order, are removed.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for one, others in json.loads((files("confusable_homoglyphs") / "confusables.json").read_bytes()).items():
        alike[one.replace("\u200e", "")] += [other["c"].replace("\u200e", "") for other in others]
    return {one: other for one, (other, *more) in alike.items()
            if not more and (len(alike[other]) > 1 or _precedence(other) > _precedence(one))
            and is_normalized("NFKC", one)}


def _has_case(string: str) -> bool:
    return len(string) == 1 and string.casefold() != string


def _find(parents: dict[str, str], string: str) -> str:
    """Return the representative of a string's class."""
    while (parent := parents.get(string, string)) != string:
        string = parent
    return string


def _union(parents: dict[str, str], one: str, other: str) -> None:
    """Make one class of two; the representative with the higher precedence stays."""
    lower, higher = sorted((_find(parents, one), _find(parents, other)), key=_precedence)
    parents[lower] = higher


def _precedence(string: str) -> tuple[bool, bool, bool, list[int]]:
    """Order representatives: several letters (`rn`, not `m`), then ASCII, then lower case, then the lowest code."""
    return len(string) > 1, string.isascii(), string.islower(), [-ord(char) for char in string]


def _keeps_cases_apart(representative: str) -> bool:
    """Return whether a class looks like ASCII or like several letters: case must not merge two such classes."""
    return len(representative) > 1 or representative.isascii()


def _replacement(parents: dict[str, str], string: str) -> str:
    """Replace a string and the letters of its representative in turn, until nothing changes."""
    while (replaced := _replace_once(parents, string)) != string:
        string = replaced
    return string


def _replace_once(parents: dict[str, str], string: str) -> str:
    representative = _find(parents, string)
    return "".join(_find(parents, char) for char in normalize("NFD", representative)).casefold()
