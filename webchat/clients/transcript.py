"""What appears in a conversation, and how it is written as lines of text."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from webchat.clients.colours import Colours
from webchat.codecs.lines import PRIVATE, SERVER

StyledLine = list[tuple[str, str]]
"""One line as (style, text) pairs, the form that prompt_toolkit prints."""

_LINE_BREAKS = re.compile("\r\n|[\n\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What a person said: to everyone, in a `room`, or in private.

    `to` is the recipient of a private message that the user of this client sent. `at` is in seconds since the epoch.
    """

    sender: str
    text: str
    room: str | None = None
    private: bool = False
    to: str | None = None
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """A sentence from the server, or from this client. `at` is in seconds since the epoch."""

    text: str
    at: float = field(default_factory=time.time)


TranscriptItem = UserMessage | SystemMessage


def printable(text: str) -> str:
    """The text with every character replaced that could move the cursor, change colours or turn the writing direction.

    See ECMA-48 and UAX #9. The server replaces control characters too, but a client must not depend on that.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def clock(at: float, now: float) -> str:
    """The local time of day, with the date if it is not today's. Both arguments are in seconds since the epoch."""
    local = time.localtime(at)
    same_day = local[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if same_day else "%d %b %H:%M", local)


def plain(item: TranscriptItem) -> list[str]:
    """An item as lines for a program: no colours, no times, the sender at the beginning of each line."""
    return ["".join(text for _, text in line) for line in _lines(item, lambda name: "")]


def styled(item: TranscriptItem, colours: Colours, own_name: str, now: float) -> list[StyledLine]:
    """An item as lines for a person: with the time of day, and the names in their colours.

    `own_name` is the shown name of the reader, `now` the current time in seconds since the epoch.
    """

    def style(name: str) -> str:
        return "class:own" if name == own_name else f"bold fg:{colours.of(name)}"

    time_of_day = ("class:time", f"{clock(item.at, now)} ")
    return [[time_of_day, *line] for line in _lines(item, style)]


def _lines(item: TranscriptItem, style: Callable[[str], str]) -> Iterator[StyledLine]:
    """Put the sender before each line of a text; otherwise a second line could imitate another person's message."""
    for line in _LINE_BREAKS.split(item.text):
        text = printable(line)
        if isinstance(item, SystemMessage):
            yield [("class:server", SERVER + text)]
        else:
            yield [*_mark(item), *_names(item, style), ("", f": {text}")]


def _mark(message: UserMessage) -> StyledLine:
    if message.room:
        return [("class:room", f"[#{printable(message.room)}] ")]
    return [("class:private", PRIVATE.rstrip()), ("", " ")] if message.private else []


def _names(message: UserMessage, style: Callable[[str], str]) -> StyledLine:
    sender = (style(message.sender), printable(message.sender))
    return [sender, ("", " → "), (style(message.to), printable(message.to))] if message.to else [sender]
