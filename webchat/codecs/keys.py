"""The keys that people press while they type a line into a client in character mode, which sends each at once."""

import re

import regex

BACKSPACES = "\b\x7f"
"""Backspace and Delete; some terminals send the one, some the other. Both take back a character."""

CTRL_W, CTRL_U = "\x17", "\x15"
"""They take back a word, and everything, as at a shell's prompt."""

_EDITING = re.compile(f"[{BACKSPACES}{CTRL_W}{CTRL_U}\x1b]")

_KEY = re.compile("\x1b{1,2}(?:\\[[0-9;]{0,8}[A-HP-SZa-d~^$@]|\\[\\[[A-E]|O[A-FHIMP-SXa-dj-y]|[bdf])")
"""What terminals send for arrows, Home, End, the keypad, function keys, Shift-Tab, and Alt with a key that moves, and
around a text that is pasted (ECMA-48 section 5.4, and the control sequences of xterm, rxvt and the Linux console)."""

_ONE_CHARACTER = regex.compile(r"\X?")
LONGEST_KEY = 64
"""Bytes; an emoji of a family has some forty."""


def typed(text: str) -> str:
    """The text as its typist means it: corrections are carried out, and keys that move the cursor are left out."""
    if not _EDITING.search(text):
        return text
    kept: list[str] = []
    for char in _KEY.sub("", text):
        if char in BACKSPACES:
            del kept[-1:]
        elif char == CTRL_U:
            kept.clear()
        elif char == CTRL_W:
            _erase_word(kept)
        else:
            kept.append(char)
    return "".join(kept)


def is_one(pressed: bytes | bytearray) -> bool:
    """Whether one key may have sent this: one character, of however many code points, or one code."""
    return (len(pressed) <= LONGEST_KEY
            and _ONE_CHARACTER.fullmatch(typed(pressed.decode("utf-8", "replace"))) is not None)


def _erase_word(kept: list[str]) -> None:
    while kept and kept[-1].isspace():
        kept.pop()
    while kept and not kept[-1].isspace():
        kept.pop()
