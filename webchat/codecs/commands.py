"""What a person types: text, or a slash command. The table below is also what `/help` prints.

`/me waves` says `_waves_`, the usual mark for emphasis: a text like any other, which every door shows after the name
of whoever says it. IRC's `* name waves` would be a line without that prefix, and asterisks are badges here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webchat.chat import names
from webchat.chat.errors import BadMessage, Empty, NotInRoom
from webchat.chat.events import Command, Join, Login, Part, Rename, Say, Tell


@dataclass(frozen=True, slots=True)
class Users:
    """Who is here?"""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Which rooms may I enter?"""


@dataclass(frozen=True, slots=True)
class Help:
    """Which commands are there?"""


@dataclass(frozen=True, slots=True)
class Quit:
    """Goodbye."""


Request = Users | Rooms | Help | Quit
"""What the door itself answers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its arguments and its help as people read them, and what it means.

    `parse(rest, room)` takes what follows the command, trimmed, and the room that one is talking in.
    """

    arguments: str
    help: str
    parse: Callable[[str, str | None], Command | Request]


def parse(line: str, room: str | None = None) -> Command | Request:
    """What a line asks for, typed by somebody who is talking in `room` (None: to everyone).

    `//text` says `/text`. Raises ChatError with a sentence that says what is missing.
    """
    if not line.startswith("/"):
        return Say(line, room)
    if line.startswith("//"):
        return Say(line[1:], room)
    word, _, rest = line.partition(" ")
    entry = COMMANDS.get(word.casefold())
    if entry is None:
        raise BadMessage(f"There is no command {word[:32]}; /help lists those that there are.")
    rest = rest.strip()
    if not rest and entry.arguments and not entry.arguments.startswith("["):
        raise Empty(f"It goes like this: {word.casefold()} {entry.arguments}")
    return entry.parse(rest, room)


def usage() -> str:
    """The table as text, one command a line."""
    width = max(len(f"{name} {entry.arguments}") for name, entry in COMMANDS.items())
    lines = (f"{f'{name} {entry.arguments}':{width}}  {entry.help}" for name, entry in COMMANDS.items())
    return "\n".join(lines)


def without_own_name(line: str, own: str) -> str:
    """The line without a leading `name:` that repeats one's own; home-made clients send it with every line."""
    prefix, colon, text = line.partition(":")
    if colon and 0 < len(prefix.strip()) <= 2 * names.MAX_NAME_LENGTH and names.key(prefix) == names.key(own):
        return text.removeprefix(" ")
    return line


def introduction(line: str) -> tuple[str, str]:
    """The first line: a bare name, or `name: text`. Returns both; without a text, an empty one."""
    name, _, text = line.partition(":")
    return name.strip(), text.strip()


def word(text: str) -> tuple[str, str]:
    """The first word of a text, and the rest. Double quotes make several words one; apostrophes belong to names.

    Raises BadMessage when a quote is not closed.
    """
    if not text.startswith('"'):
        first, _, rest = text.partition(" ")
        return first, rest.strip()
    first, quote, rest = text[1:].partition('"')
    if not quote:
        raise BadMessage('A name that begins with a quote (") has to end with one.')
    return first, rest.strip()


def whole(text: str) -> str:
    """The text without the double quotes around it, if any. Raises BadMessage when a quote is not closed."""
    first, rest = word(text)
    return first if text.startswith('"') and not rest else text


def _login(rest: str, _: str | None) -> Command:
    name, password = word(rest)
    if not password:
        raise Empty("It goes like this: /login NAME PASSWORD")
    return Login(name, whole(password) if password.startswith('"') and password.endswith('"') else password)


def _tell(rest: str, _: str | None) -> Command:
    name, text = word(rest)
    if not text:
        raise Empty(f"Say what {name} is to hear: /msg NAME text")
    return Tell(name, text)


def _part(rest: str, room: str | None) -> Command:
    if not rest and room is None:
        raise NotInRoom("You are not talking in a room.")
    return Part(whole(rest) if rest else room)


COMMANDS: dict[str, Entry] = {
    "/users": Entry("", "who is here", lambda rest, room: Users()),
    "/nick": Entry("NAME", "take another name", lambda rest, room: Rename(whole(rest))),
    "/login": Entry("NAME PASSWORD", "take the name of an account", _login),
    "/msg": Entry("NAME text", 'say something to one person; quotes around a name with spaces: "NAME"', _tell),
    "/me": Entry("text", "say what you are doing, as _text_", lambda rest, room: Say(f"_{rest}_", room)),
    "/all": Entry("text", "say something to everyone, while you are talking in a room", lambda rest, room: Say(rest)),
    "/rooms": Entry("", "the rooms that you are a member of", lambda rest, room: Rooms()),
    "/join": Entry("ROOM", "enter a room: what you type then goes there", lambda rest, room: Join(whole(rest))),
    "/part": Entry("[ROOM]", "leave the room: what you type then goes to everyone again", _part),
    "/help": Entry("", "this list", lambda rest, room: Help()),
    "/quit": Entry("", "leave", lambda rest, room: Quit()),
}
