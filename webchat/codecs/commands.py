"""What a person types: text, or a slash command. `/help` prints the table of commands below.

`/me waves` says `_waves_`, the usual mark for emphasis. It is a text like any other, and every door shows it after the
name of its sender; IRC's `* name waves` would not begin with that name, and asterisks mark accounts here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webchat.chat import names
from webchat.chat.errors import BadMessage, Empty, NotInRoom
from webchat.chat.events import Command, Join, Login, Part, Rename, Say, Tell


@dataclass(frozen=True, slots=True)
class ListUsers:
    """Ask who is here."""


@dataclass(frozen=True, slots=True)
class ListRooms:
    """Ask which rooms one may join."""


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """Ask for the table of commands."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the connection."""


LocalCommand = ListUsers | ListRooms | ShowHelp | Quit
"""What a door, or a client, answers without the hub."""


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command: its arguments and its help as people read them, and what it means.

    `parse(rest, room)` takes what follows the command, trimmed, and the room that typed text goes to. Square brackets
    around `arguments` mark them as optional.
    """

    arguments: str
    help: str
    parse: Callable[[str, str | None], Command | LocalCommand]


def parse(line: str, room: str | None = None) -> Command | LocalCommand:
    """What a typed line asks for, where text goes to `room` (None: to everyone); `//text` says `/text`.

    Raises ChatError with a sentence that says what is missing.
    """
    if not line.startswith("/"):
        return Say(line, room)
    if line.startswith("//"):
        return Say(line[1:], room)
    command, _, rest = line.partition(" ")
    entry = COMMANDS.get(command.casefold())
    if entry is None:
        raise BadMessage(f"There is no command {command[:32]}; /help lists all commands.")
    rest = rest.strip()
    if not rest and entry.arguments and not entry.arguments.startswith("["):
        raise Empty(f"Usage: {command.casefold()} {entry.arguments}")
    return entry.parse(rest, room)


def usage() -> str:
    """The table of commands as text, one a line."""
    width = max(len(f"{name} {entry.arguments}") for name, entry in COMMANDS.items())
    lines = (f"{f'{name} {entry.arguments}':{width}}  {entry.help}" for name, entry in COMMANDS.items())
    return "\n".join(lines)


def without_own_name(line: str, own: str) -> str:
    """The line without a leading `name:` that repeats the sender's own; home-made clients send it with every line."""
    prefix, colon, text = line.partition(":")
    if colon and 0 < len(prefix.strip()) <= 2 * names.MAX_NAME_LENGTH and names.key(prefix) == names.key(own):
        return text.removeprefix(" ")
    return line


def introduction(line: str) -> tuple[str, str]:
    """The name and the text in a first line: a bare name, or `name: text`. The text may be empty."""
    name, _, text = line.partition(":")
    return name.strip(), text.strip()


def split_word(text: str) -> tuple[str, str]:
    """The first word of a text, and the rest. Double quotes join several words; apostrophes belong to names.

    Raises BadMessage when a quote is not closed.
    """
    if not text.startswith('"'):
        word, _, rest = text.partition(" ")
        return word, rest.strip()
    word, quote, rest = text[1:].partition('"')
    if not quote:
        raise BadMessage('A name that begins with a quote (") has to end with one.')
    return word, rest.strip()


def unquoted(text: str) -> str:
    """The text without the double quotes around it, if any. Raises BadMessage when a quote is not closed."""
    word, rest = split_word(text)
    return word if text.startswith('"') and not rest else text


def _login(rest: str, room: str | None) -> Command:
    name, password = split_word(rest)
    if not password:
        raise Empty("Usage: /login NAME PASSWORD")
    is_quoted = password.startswith('"') and password.endswith('"')
    return Login(name, unquoted(password) if is_quoted else password)


def _tell(rest: str, room: str | None) -> Command:
    name, text = split_word(rest)
    if not text:
        raise Empty(f"Add the text for {name}: /msg NAME text")
    return Tell(name, text)


def _part(rest: str, room: str | None) -> Command:
    if rest:
        return Part(unquoted(rest))
    if room is None:
        raise NotInRoom("You are not talking in a room.")
    return Part(room)


COMMANDS: dict[str, CommandEntry] = {
    "/users": CommandEntry("", "who is here", lambda rest, room: ListUsers()),
    "/nick": CommandEntry("NAME", "take another name", lambda rest, room: Rename(unquoted(rest))),
    "/login": CommandEntry("NAME PASSWORD", "take the name of an account", _login),
    "/msg": CommandEntry("NAME text", 'say something to one person; quotes around a name with spaces: "NAME"', _tell),
    "/me": CommandEntry("text", "say what you are doing, as _text_", lambda rest, room: Say(f"_{rest}_", room)),
    "/all": CommandEntry("text", "say something to everyone, while you are talking in a room",
                         lambda rest, room: Say(rest)),
    "/rooms": CommandEntry("", "the rooms that you are a member of", lambda rest, room: ListRooms()),
    "/join": CommandEntry("ROOM", "enter a room: what you type then goes there",
                          lambda rest, room: Join(unquoted(rest))),
    "/part": CommandEntry("[ROOM]", "leave the room: what you type then goes to everyone again", _part),
    "/help": CommandEntry("", "this list", lambda rest, room: ShowHelp()),
    "/quit": CommandEntry("", "leave", lambda rest, room: Quit()),
}
