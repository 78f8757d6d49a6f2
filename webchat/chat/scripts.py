"""Which scripts a text is written in, and which symbols are emoji; the data is Unicode's, in the library `regex`.

Names may not mix scripts, because letters of different scripts look alike: the rule is "highly restrictive" of Unicode
Technical Standard #39, section 5.2. A text may use one script, or Latin with the scripts of Chinese, of Japanese or of
Korean, besides the characters that belong to no script in particular.
"""

from functools import cache

import regex

MODERN_SCRIPTS = (
    "Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew "
    "Hiragana Kannada Katakana Khmer Lao Latin Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan "
    "Adlam Balinese Bamum Batak Canadian_Aboriginal Chakma Cham Cherokee Hanifi_Rohingya Javanese Kayah_Li Lepcha "
    "Limbu Lisu Mandaic Meetei_Mayek Miao New_Tai_Lue Newa Nko Nyiakeng_Puachue_Hmong Ol_Chiki Osage Saurashtra "
    "Sundanese Syloti_Nagri Syriac Tai_Le Tai_Tham Tai_Viet Tifinagh Vai Wancho Yi"
).split()
"""The scripts in which people write today (Unicode Standard Annex #31, tables 5 and 7)."""

COMBINATIONS = (("Latin", "Han", "Hiragana", "Katakana"), ("Latin", "Han", "Bopomofo"), ("Latin", "Han", "Hangul"))


def is_highly_restrictive(text: str) -> bool:
    """Return whether a text is in one modern script, or in Latin and those of one East Asian language."""
    return _one_script().fullmatch(text) is not None


def is_emoji(char: str) -> bool:
    """Return whether a character is shown as an emoji by itself, without a variation selector."""
    return _emoji().match(char) is not None


def is_latin(char: str) -> bool:
    """Return whether a character is a Latin letter."""
    return _latin().match(char) is not None


@cache
def _one_script() -> "regex.Pattern[str]":
    allowed = [*COMBINATIONS, *((script,) for script in MODERN_SCRIPTS)]
    return regex.compile("|".join(map(_all_in, allowed)))


def _all_in(scripts: tuple[str, ...]) -> str:
    """Return a pattern for texts in these scripts, by the property Script_Extensions."""
    members = "".join(rf"\p{{scx={script}}}" for script in (*scripts, "Common", "Inherited"))
    return f"[{members}]*+"


@cache
def _emoji() -> "regex.Pattern[str]":
    return regex.compile(r"\p{Emoji_Presentation}")


@cache
def _latin() -> "regex.Pattern[str]":
    return regex.compile(r"\p{Script=Latin}")
