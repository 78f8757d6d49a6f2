"""Names of people and of rooms: what they may be, and which of them are the same.

A name goes through these steps: the Nickname profile of PRECIS, case preserved (RFC 8266, NFKC included) → asterisks
of every kind out, because an asterisk marks an account → both again until nothing changes → what is left is checked.
PRECIS's freeform class lets symbols be names, emoji among them; what it takes for invisible (variation selectors,
joiners, fillers) it refuses, and so do we, also where it has exceptions for scripts that use joiners.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

import precis_i18n

from webchat.chat import lookalikes
from webchat.chat.errors import BadName

LONGEST = 32
LONGEST_ROOM = 64
LONGEST_RAW = 256
"""Characters before normalisation; more are not looked at."""
MOST_ACCENTS = 4
"""Nonspacing marks on one letter (Unicode Technical Standard #39, section 5.4); more reach into other lines."""

RESERVED = ("ALL", "CLIENTS", "REGISTER", "QUIT", "MSG", "server", "everyone")
BEGINNINGS = ("#", "/", "@", "-!-", "[private]", "[#")
"""With these begin commands, and what the line protocol puts before a name."""

FRAMING = frozenset("{}|:<>")
BARS_AND_BRACKETS = re.compile(r"VERTICAL BAR|VERTICAL LINE|BROKEN BAR|^BOX DRAWINGS .*VERTICAL|(ANGLE|CURLY) BRACKET")
"""The Unicode names of symbols that look like framing where the confusables have nothing to say of them."""
ASTERISK = re.compile(r"\bASTERISK|^ASTERISM$|POINTED .*\bSTAR$|^STAR OPERATOR$")
"""The Unicode names of what passes for an asterisk; an ornamental star such as U+2605 does not."""

LINE_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
BLANK_SYMBOLS = frozenset("\u2800\U0001d159\ufffc\ufffd")
"""Symbols to Unicode that show nothing: blank Braille, a null note head, stand-ins for what is missing."""
REFUSED_CATEGORIES = {
    "Cc": "a control character", "Cf": "which is invisible", "Cs": "half a character", "Co": "of private meaning",
    "Cn": "of no meaning yet",
}


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is shown, and the key that it shares with all names that clash with it."""

    text: str
    key: str


@lru_cache(2048)
def parse(raw: str) -> Name:
    """The name that somebody asks for, 1 to 32 characters once normalised. Raises BadName, with the reason."""
    text = _checked(_unstarred(_limited(raw, LONGEST)), LONGEST)
    key = lookalikes.skeleton(text)
    for word, reserved in _skeletons(RESERVED).items():
        if key == reserved:
            raise BadName(f"The name {word} is the chat's own, and so is what looks like it.")
    return Name(text, key)


def key(raw: str) -> str:
    """The key of the name that somebody means, asterisks ignored; it need not be a possible name."""
    return _key(raw[:LONGEST_RAW])


def parse_room(raw: str) -> str:
    """A room's name as it is shown, 1 to 64 characters once normalised. Raises BadName, with the reason."""
    return _checked(_normalised(_limited(raw, LONGEST_ROOM)), LONGEST_ROOM)


@lru_cache(2048)
def _key(raw: str) -> str:
    return lookalikes.skeleton(_unstarred(raw))


def _limited(raw: str, longest: int) -> str:
    if len(raw) > LONGEST_RAW:
        raise BadName(f"A name has at most {longest} characters, and this one has {len(raw):,}.")
    return raw


def _normalised(raw: str) -> str:
    """The mappings of RFC 8266, section 2.1; to ASCII they do no more than make its spaces single."""
    if raw.isascii():
        return re.sub("  +", " ", raw.strip(" "))
    return _profile().apply_five_rules(raw)


def _unstarred(raw: str) -> str:
    """Normalised, without asterisks: taking one out may bring together what then has to be normalised again."""
    while (text := "".join(char for char in _normalised(raw) if not _is_asterisk(char))) != raw:
        raw = text
    return raw


@lru_cache(4096)
def _is_asterisk(char: str) -> bool:
    return lookalikes.skeleton(char) == "*" or bool(ASTERISK.search(unicodedata.name(char, "")))


def _checked(text: str, longest: int) -> str:
    if not text:
        raise BadName("A name needs something other than spaces and asterisks.")
    for char in text:
        if reason := _refusal(char):
            raise BadName(f"A name cannot contain {reason}.")
    if not text.isascii():
        _check_script(text)
    if len(text) > longest:
        raise BadName(f"A name has at most {longest} characters, and this one has {len(text)}.")
    looks = lookalikes.mark(text[0]) + lookalikes.skeleton(text[1:])
    for beginning, look in _skeletons(BEGINNINGS).items():
        if looks.startswith(look):
            raise BadName(f"A name cannot begin with {beginning} or what looks like it.")
    return text


@lru_cache(4096)
def _refusal(char: str) -> str:
    """The character and what is wrong with it; empty when nothing is."""
    if char in FRAMING:
        return f"{char} ({_spelled(char)})"
    if char in LINE_BREAKS:
        return f"{_spelled(char)}, a line break"
    if wrong := REFUSED_CATEGORIES.get(unicodedata.category(char)):
        return f"{_spelled(char)}, {wrong}"
    if char in BLANK_SYMBOLS:
        return f"{_spelled(char)}, which shows nothing"
    look = lookalikes.mark(char)
    like_framing = look != char and (set(look) == {lookalikes.skeleton("|")} or not FRAMING.isdisjoint(look))
    if like_framing or unicodedata.category(char)[0] in "PS" and BARS_AND_BRACKETS.search(unicodedata.name(char, "")):
        return f"{_spelled(char)}, which looks like a part of the protocol"
    return ""


def _check_script(text: str) -> None:
    """What only text beyond ASCII can be wrong in: PRECIS's classes and contexts, and accents without a letter."""
    try:
        _profile().enforce(text)
    except UnicodeEncodeError as error:
        char = error.object[error.start]
        why = "which is invisible" if "ignorable" in error.reason else "at least not there"
        raise BadName(f"A name cannot contain {_spelled(char)}, {why}.") from error
    accents = MOST_ACCENTS  # so that none may come first
    for char in text:
        accents = accents + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if accents > MOST_ACCENTS:
            raise BadName(f"A name cannot contain {_spelled(char)}, an accent, without a letter under it, "
                          f"or after {MOST_ACCENTS} others.")


def _spelled(char: str) -> str:
    """In ASCII, because the sentence may end up on a terminal."""
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


@cache
def _skeletons(words: tuple[str, ...]) -> dict[str, str]:
    return {word: lookalikes.skeleton(word) for word in words}


@cache
def _profile():
    return precis_i18n.get_profile("NicknameCasePreserved")
