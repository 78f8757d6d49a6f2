"""What there is to read in a conversation, and how it looks as lines of text."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from webchat.clients.colours import Colours
from webchat.codecs.lines import PRIVATE, SERVER

Fragments = list[tuple[str, str]]
"""One line as (style, text) pairs, as prompt_toolkit takes them."""

_BREAKS = re.compile("\r\n|[\n\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that a person said, at a time in seconds since the epoch: to everyone, in a room, or in private.

    `to` is set where it was said by oneself in private.
    """

    sender: str
    text: str
    room: str | None = None
    private: bool = False
    to: str | None = None
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A word from the server, or from the client itself."""

    text: str
    at: float = field(default_factory=time.time)


Item = Spoken | Sentence


def printable(text: str) -> str:
    """The text without what could move a cursor, colour a screen or turn a line's direction (ECMA-48, UAX #9).

    The server replaces control characters, too; a client does not have to believe that.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def clock(at: float, now: float) -> str:
    """A local time of day; of another day, with its date."""
    local = time.localtime(at)
    same_day = local[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if same_day else "%d %b %H:%M", local)


def plain(item: Item) -> list[str]:
    """An item as lines that a program can read: no colours, no times, each with its sender."""
    return ["".join(text for _, text in line) for line in _lines(item, _colourless)]


def styled(item: Item, colours: Colours, own: str, now: float) -> list[Fragments]:
    """The same for a person, with the time of day; `own` is the shown name of whoever reads it."""

    def style(name: str) -> str:
        return "class:own" if name == own else f"bold fg:{colours.of(name)}"

    moment = ("class:time", f"{clock(item.at, now)} ")
    return [[moment, *line] for line in _lines(item, style)]


def _lines(item: Item, style) -> Iterator[Fragments]:
    """Each line of a text begins with its sender, so that no text can pass for another person's."""
    for line in _BREAKS.split(item.text):
        text = printable(line)
        if isinstance(item, Sentence):
            yield [("class:server", SERVER + text)]
        else:
            yield [*_mark(item), *_names(item, style), ("", f": {text}")]


def _mark(item: Spoken) -> Fragments:
    if item.room:
        return [("class:room", f"[#{printable(item.room)}] ")]
    return [("class:private", PRIVATE.rstrip()), ("", " ")] if item.private else []


def _names(item: Spoken, style) -> Fragments:
    sender = (style(item.sender), printable(item.sender))
    return [sender, ("", " → "), (style(item.to), printable(item.to))] if item.to else [sender]


def _colourless(_: str) -> str:
    return ""
