"""Which strings a person takes for one another: confusable skeletons (Unicode Technical Standard #39, section 4).

The standard's skeleton compares what is seen, and so keeps the cases apart; names are compared without regard to case.
Folding the case before the skeleton would miss a Cyrillic В in `Вob`, folding it afterwards would tell `ИВАН` from
`иван`. Here characters are gathered into classes instead: what looks the same, in either case, is one class, and a
skeleton writes one member for all of it.

A few letters, most of them Greek, resemble one ASCII letter in one case and another in the other: Ν looks like N, but
ν like v. Their cases stay apart, because appearance counts for more than case, unless the text as a whole cannot be
read as Latin.
"""

import json
import re
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from unicodedata import category, is_normalized, normalize

ASCII = str.maketrans({"0": "o", "1": "i", "l": "i", "|": "i", "m": "rn", "%": "º/₀", '"': "''", "`": "'"})
"""What the table below holds for ASCII in lower case, so that it is not read before somebody needs it.

`l` is written `i` because it looks like `I`.
"""

LATIN_LETTER = re.compile("[A-Za-z]")


def skeleton(text: str) -> str:
    """The same string for all texts (normalised, NFKC) that look alike, in any case."""
    if text.isascii():
        return text.lower().translate(ASCII)
    written, latin = classes()
    text = normalize("NFD", text)
    if not LATIN_LETTER.search(text) and any(char.isalpha() and char not in latin for char in text):
        text = text.casefold()
    return normalize("NFD", text.translate(written).casefold().translate(written))


def mark(char: str) -> str:
    """What a punctuation mark or symbol looks like: `:` for U+2236 RATIO. A letter, digit or accent is itself."""
    return skeleton(char) if category(char)[0] in "PS" or category(char) == "Lm" else char


class Classes(NamedTuple):
    """From characters to what a skeleton writes for their class; and those that can be read as Latin letters."""

    written: dict[int, str]
    latin: frozenset[str]


@cache
def classes() -> Classes:
    """The table, read at the first text that is not ASCII: it takes some 50 ms, once."""
    leaders = _prototypes()
    latin = frozenset(char for char, leader in leaders.items() if leader.isascii())
    for char in map(chr, range(128)):
        _join(leaders, char, char.lower())
    # The foldings to several letters come first: before ß is anything else it is ss.
    cased = filter(_has_case, {*leaders, *leaders.values()})
    for char in sorted(cased, key=lambda char: (-len(char.casefold()), char)):
        folded = char.casefold()
        if not (_is_tied(_leader(leaders, char)) and _is_tied(_leader(leaders, folded))):
            _join(leaders, char, folded)
    written = {ord(char): _written(leaders, char) for char in leaders if len(char) == 1}
    return Classes({code: text for code, text in written.items() if text != chr(code)}, latin)


def _prototypes() -> dict[str, str]:
    """From each character to the string that the standard has for it and its look-alikes.

    The library keeps the standard's pairs in both directions: a prototype is what has many look-alikes, or several
    letters. The marks that keep right-to-left characters in order in the standard's own text are in its pairs, too.
    """
    alike = defaultdict(list)
    for one, others in json.loads((files("confusable_homoglyphs") / "confusables.json").read_bytes()).items():
        alike[one.replace("\u200e", "")] += [other["c"].replace("\u200e", "") for other in others]
    return {one: other for one, (other, *more) in alike.items()
            if not more and (len(alike[other]) > 1 or _rank(other) > _rank(one)) and is_normalized("NFKC", one)}


def _has_case(string: str) -> bool:
    return len(string) == 1 and string.casefold() != string


def _leader(leaders: dict[str, str], string: str) -> str:
    while (leader := leaders.get(string, string)) != string:
        string = leader
    return string


def _join(leaders: dict[str, str], one: str, other: str) -> None:
    lesser, leader = sorted((_leader(leaders, one), _leader(leaders, other)), key=_rank)
    leaders[lesser] = leader


def _rank(string: str) -> tuple:
    """Who leads a class: several letters (`rn` over `m`), then ASCII, then lower case, then the first in Unicode."""
    return len(string) > 1, string.isascii(), string.islower(), [-ord(char) for char in string]


def _is_tied(leader: str) -> bool:
    """Whether a class has an appearance that no difference of case may merge with another's."""
    return len(leader) > 1 or leader.isascii()


def _written(leaders: dict[str, str], string: str) -> str:
    """The leader, its own letters led in turn, until nothing changes."""
    while (led := _led(leaders, string)) != string:
        string = led
    return string


def _led(leaders: dict[str, str], string: str) -> str:
    leader = _leader(leaders, string)
    return "".join(_leader(leaders, char) for char in normalize("NFD", leader)).casefold()
