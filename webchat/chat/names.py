"""Names of people and of rooms: how they are normalised, which are refused, and which of them clash.

A name is normalised by the Nickname profile of PRECIS with its case preserved (RFC 8266, which includes NFKC). Then
asterisks of every kind are removed, because an asterisk marks an account. Both steps repeat until nothing changes; the
result is checked. PRECIS allows symbols in names, and refuses invisible characters (variation selectors, joiners,
fillers). Here joiners are refused even in the scripts for which PRECIS makes an exception, symbols only if they are
emoji (`webchat.chat.scripts`), and names that mix scripts, or that could be read as a sentence of the server.

Nothing here is remembered: people type their passwords and secrets into the wrong field, too.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import precis_i18n

from webchat.chat import lookalikes, scripts
from webchat.chat.errors import BadName

MAX_NAME_LENGTH = 32
"""Characters of a person's name, after normalisation."""

MAX_ROOM_LENGTH = 64
"""Characters of a room's name, after normalisation."""

MAX_RAW_LENGTH = 256
"""Characters before normalisation; a longer name is refused without normalising it."""

MAX_ACCENTS = 4
"""Nonspacing marks on one letter (Unicode Technical Standard #39, section 5.4); more would overlap other lines."""

RESERVED_NAMES = ("ALL", "CLIENTS", "REGISTER", "QUIT", "MSG", "server", "everyone", "webchat")
SERVICE_SUFFIX = "Serv"
"""On IRC, services that ask for passwords have such names: NickServ, ChanServ."""

RESERVED_PREFIXES = ("#", "/", "@", "-!-", "[private]", "[#")
"""Commands, rooms and the server's own lines in the line protocol begin with these."""

IRC_PREFIXES = ("+", "~", "&", "%", "$")
"""Marks that IRC puts in front of the names of people and rooms."""

IRC_DELIMITERS = frozenset("!@,?")
"""IRC could not carry these, because they separate or match names there."""

SENTENCE_BEGINNINGS = ("you are", "you have", "welcome to")
SENTENCE_PARTS = ("has left", "has joined", "took back")
"""What the server says. A name that begins with one of the first, or contains one of the second, would read as that."""

DELIMITERS = frozenset("{}|:<>")
"""The line and brace protocols separate names from text with these."""

DELIMITER_LOOKALIKES = re.compile(
    r"VERTICAL BAR|VERTICAL LINE|BROKEN BAR|^BOX DRAWINGS .*VERTICAL|(ANGLE|CURLY) BRACKET")
"""Matches the Unicode names of symbols that look like a delimiter, but are not in the confusables table."""

ASTERISK = re.compile(r"\bASTERISK|^ASTERISM$|POINTED .*\bSTAR$|^STAR OPERATOR$")
"""Matches the Unicode names of characters that look like an asterisk; an ornamental star such as U+2605 does not."""

CLICK_LETTERS = frozenset("\u01c0\u01c1\u01c2\u01c3")
"""Latin letters that look like `|` and `!`: allowed beside another Latin letter, as in any word that has them."""

BADGE_LETTER = "\u2d63"
"""TIFINAGH LETTER YAZ looks like an asterisk where it is the only letter of its script."""

LAST_PUNCTUATION = "_-.)]"
"""A name ends with a letter, mark, digit or emoji, or with one of these; anything else could be taken for the asterisk
of an account."""

EMOJI_STYLE = re.compile("(.)\ufe0f")

LINE_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
BLANK_SYMBOLS = frozenset("\u2800\U0001d159\ufffc\ufffd")
"""Symbols that show nothing: the blank Braille pattern, the null notehead, and the two replacement characters."""

REFUSED_CATEGORIES = {
    "Cc": "a control character", "Cf": "which is invisible", "Cs": "half a character", "Co": "a private-use character",
    "Cn": "an unassigned character",
}
"""Unicode's general categories of characters that no name contains, and how an error describes them."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is shown, and its key: names with the same key clash."""

    text: str
    key: str


def parse(raw: str) -> Name:
    """Return the name that a person asks for, normalised and checked. Raises BadName with the reason."""
    _check_raw_length(raw, MAX_NAME_LENGTH)
    text = _without_asterisks(raw)
    _check(text, MAX_NAME_LENGTH)
    _check_person(text)
    key = _key(text)
    _check_reserved(key)
    return Name(text, key)


def key(raw: str) -> str:
    """Return the key of a name as somebody typed it, asterisks ignored. The text need not be a possible name."""
    return _key(_without_asterisks(raw[:MAX_RAW_LENGTH]))


def parse_room(raw: str) -> str:
    """Return the name of a room, normalised and checked. Raises BadName with the reason."""
    _check_raw_length(raw, MAX_ROOM_LENGTH)
    text = _normalised(raw)
    _check(text, MAX_ROOM_LENGTH)
    return text


def _key(text: str) -> str:
    """Return the key of a normalised name. A space and `_` are one, because IRC writes the one as the other."""
    return lookalikes.skeleton(text).replace("_", " ")


def _check_raw_length(raw: str, max_length: int) -> None:
    if len(raw) > MAX_RAW_LENGTH:
        raise BadName(f"A name has at most {max_length} characters, and this one has {len(raw):,}.")


def _normalised(raw: str) -> str:
    """Apply the mappings of RFC 8266, section 2.1. In ASCII they only strip spaces and make them single."""
    if raw.isascii():
        return re.sub("  +", " ", raw.strip(" "))
    normalised: str = _nickname_profile().apply_five_rules(_without_emoji_style(raw))
    return normalised


def _without_emoji_style(raw: str) -> str:
    """Remove variation selectors after emoji, which are shown as such without them; telephones send both forms."""
    return EMOJI_STYLE.sub(lambda match: match[1] if scripts.is_emoji(match[1]) else match[0], raw)


def _without_asterisks(raw: str) -> str:
    """Normalise and remove asterisks, repeatedly: characters that an asterisk kept apart may compose after that."""
    while (text := _removed_asterisks(_normalised(raw))) != raw:
        raw = text
    return raw


def _removed_asterisks(text: str) -> str:
    if text.isascii():
        return text.replace("*", "")
    return "".join(char for char in text if not _is_asterisk(char))


def _is_asterisk(char: str) -> bool:
    return lookalikes.skeleton(char) == "*" or bool(ASTERISK.search(unicodedata.name(char, "")))


def _check(text: str, max_length: int) -> None:
    """Check a normalised name. Raises BadName with the reason."""
    if not text:
        raise BadName("A name needs something other than spaces and asterisks.")
    for char in text:
        if reason := _refusal_reason(char):
            raise BadName(f"A name cannot contain {reason}.")
    if not text.isascii():
        _check_precis(text)
        _check_accents(text)
    if len(text) > max_length:
        raise BadName(f"A name has at most {max_length} characters, and this one has {len(text)}.")
    _check_prefix(text, RESERVED_PREFIXES)


def _check_prefix(text: str, prefixes: tuple[str, ...]) -> None:
    skeleton = lookalikes.symbol_skeleton(text[0]) + lookalikes.skeleton(text[1:])
    for prefix, reserved in _skeletons(prefixes).items():
        if skeleton.startswith(reserved):
            raise BadName(f"A name cannot begin with {prefix} or something that looks like it.")


def _check_person(text: str) -> None:
    """Check what applies to the names of people only. Raises BadName with the reason."""
    for char in text:
        if char in IRC_DELIMITERS:
            raise BadName(f"A name cannot contain {char} ({_describe(char)}).")
    _check_prefix(text, IRC_PREFIXES)
    if not text.isascii():
        _check_appearance(text)
    if not _is_proper_end(text):
        raise BadName(f"A name cannot end with {_describe(text[-1])}; it ends with a letter, a digit, an emoji "
                      f"or one of {LAST_PUNCTUATION}")


def _check_appearance(text: str) -> None:
    """Refuse what could be mistaken for something else: symbols, mixed scripts, letters that look like marks."""
    for char in text:
        if unicodedata.category(char)[0] == "S" and not char.isascii() and not scripts.is_emoji(char):
            raise BadName(f"A name cannot contain {_describe(char)}, a symbol that is no emoji.")
    if not scripts.is_highly_restrictive(text):
        raise BadName("A name cannot mix letters of different scripts, or contain letters of an ancient one.")
    for index, char in enumerate(text):
        if char in CLICK_LETTERS and not _has_latin_neighbour(text, index):
            raise BadName(f"A name cannot contain {_describe(char)}, which is not beside another Latin letter.")


def _has_latin_neighbour(text: str, index: int) -> bool:
    neighbours = text[max(index - 1, 0):index] + text[index + 1:index + 2]
    return any(scripts.is_latin(char) and char not in CLICK_LETTERS for char in neighbours)


def _is_proper_end(text: str) -> bool:
    last = text[-1]
    if last == BADGE_LETTER:
        return any(char.isalpha() and char != BADGE_LETTER for char in text)
    return unicodedata.category(last)[0] in "LMN" or last in LAST_PUNCTUATION or scripts.is_emoji(last)


def _check_reserved(key: str) -> None:
    for word, reserved in _skeletons(RESERVED_NAMES).items():
        if key == reserved:
            raise BadName(f"The name {word} is reserved, and so are names that look like it.")
    if key.endswith(_skeletons((SERVICE_SUFFIX,))[SERVICE_SUFFIX]):
        raise BadName(f"Names that end with {SERVICE_SUFFIX} are reserved for services.")
    if _sentence().search(key):
        raise BadName("That name reads like a sentence of the server.")


def _refusal_reason(char: str) -> str:
    """Return the character and why no name contains it; empty when it is allowed."""
    if char in DELIMITERS:
        return f"{char} ({_describe(char)})"
    if char in LINE_BREAKS:
        return f"{_describe(char)}, a line break"
    if reason := REFUSED_CATEGORIES.get(unicodedata.category(char)):
        return f"{_describe(char)}, {reason}"
    if char in BLANK_SYMBOLS:
        return f"{_describe(char)}, which shows nothing"
    if _looks_like_delimiter(char):
        return f"{_describe(char)}, which looks like a part of the protocol"
    return ""


def _looks_like_delimiter(char: str) -> bool:
    skeleton = lookalikes.symbol_skeleton(char)
    if skeleton != char and (set(skeleton) == {lookalikes.skeleton("|")} or not DELIMITERS.isdisjoint(skeleton)):
        return True
    is_symbol = unicodedata.category(char)[0] in "PS"
    return is_symbol and DELIMITER_LOOKALIKES.search(unicodedata.name(char, "")) is not None


def _check_precis(text: str) -> None:
    """Check the character classes and the contextual rules of PRECIS."""
    try:
        _nickname_profile().enforce(text)
    except UnicodeEncodeError as error:
        char = error.object[error.start]
        reason = "which is invisible" if "ignorable" in error.reason else "which is not allowed at this place"
        raise BadName(f"A name cannot contain {_describe(char)}, {reason}.") from error


def _check_accents(text: str) -> None:
    accents = MAX_ACCENTS  # so that the first character cannot be an accent
    for char in text:
        category = unicodedata.category(char)
        if category in ("Mn", "Me"):
            accents += 1
        else:
            accents = MAX_ACCENTS if category[0] in "ZP" else 0  # nor one after a space or a punctuation mark
        if accents > MAX_ACCENTS:
            raise BadName(f"A name cannot contain {_describe(char)}, an accent, without a letter under it "
                          f"or after {MAX_ACCENTS} others.")


def _describe(char: str) -> str:
    """Return the character's code point and name, in ASCII because the sentence may be shown on a terminal."""
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


@cache
def _skeletons(words: tuple[str, ...]) -> dict[str, str]:
    return {word: lookalikes.skeleton(word) for word in words}


@cache
def _sentence() -> re.Pattern[str]:
    """Match the key of a name that reads like a sentence of the server."""
    beginnings, parts = ("|".join(map(re.escape, map(lookalikes.skeleton, phrases)))
                         for phrases in (SENTENCE_BEGINNINGS, SENTENCE_PARTS))
    return re.compile(rf"^({beginnings})\b|\b({parts})\b")


@cache
def _nickname_profile() -> Any:  # precis_i18n has no types
    return precis_i18n.get_profile("NicknameCasePreserved")
