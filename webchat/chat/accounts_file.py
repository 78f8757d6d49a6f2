"""The accounts file, in TOML:

    [accounts.Alex]
    hash = "$argon2id$…"
    groups = ["8 out of 10 cats", "Taskmaster"]

Groups are the rooms that the owner of the account is a member of. `webchat accounts` edits such a file.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from webchat.chat import names, passwords
from webchat.chat.errors import BadName
from webchat.chat.names import Name

ACCOUNT_KEYS = ("hash", "groups")
MAX_COST = 1 << 22
"""Cost of a comparison (see `passwords.cost`): twice the highest that RFC 9106 recommends; it takes some seconds."""

TABLE_HEADER = re.compile(r"\s*(\[[^\[].*\])\s*(#.*)?")
KEY_ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")


class AccountsError(Exception):
    """The accounts file cannot be used; the text is one sentence, with the line, for the person who wrote the file."""


@dataclass(frozen=True, slots=True)
class Account:
    """A name that needs a password, the rooms that its owner is a member of, and the hash of the password."""

    name: Name
    rooms: tuple[str, ...] = ()
    hash: str = field(default="", repr=False)


def read(path: Path) -> tuple[Account, ...]:
    """Return the accounts in a file. Raises AccountsError."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise AccountsError(f"The accounts file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AccountsError(f"{path}, line {line}: This is not UTF-8.") from error


def parse(text: str, source: str) -> tuple[Account, ...]:
    """Return the accounts in the text of a file; `source` is its name in errors. Raises AccountsError."""
    try:
        return tuple(_accounts(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        end = f"at the end, line {len(text.rstrip().splitlines()) or 1}"  # Python gives no line there
        raise AccountsError(f"{source}: {str(error).replace('at end of document', end)}.") from error
    except _Problem as problem:
        raise AccountsError(f"{source}, line {_line(text, problem.path)}: {problem}") from problem


class _Problem(Exception):
    """What is wrong, and the path of keys to where it is."""

    def __init__(self, path: tuple[str, ...], sentence: str):
        super().__init__(sentence)
        self.path = path


def _accounts(document: dict[str, Any]) -> Iterator[Account]:
    for key in document:
        if key != "accounts":
            raise _Problem((key,), f"{key} is not a known table; an account begins with a line like [accounts.Alex].")
    tables = document.get("accounts", {})
    if not isinstance(tables, dict):
        raise _Problem(("accounts",), "An account begins with a line like [accounts.Alex].")
    titles: dict[str, str] = {}  # of the accounts so far, by the key of their names
    spellings: dict[str, str] = {}  # of the rooms so far, by their names in lower case
    for title, table in tables.items():
        account = _account(("accounts", title), table, spellings)
        if other := titles.get(account.name.key):
            raise _Problem(("accounts", title), f"{title} and {other} are the same name in the chat.")
        titles[account.name.key] = title
        yield account


def _account(path: tuple[str, ...], table: Any, spellings: dict[str, str]) -> Account:
    if not isinstance(table, dict):
        raise _Problem(path, f"{path[-1]} is not an account; it begins with a line like [accounts.Alex].")
    for key in table:
        if key not in ACCOUNT_KEYS:
            close = get_close_matches(key, ACCOUNT_KEYS, 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise _Problem((*path, key), f"An account has no key {key}{hint}")
    try:
        name = names.parse(path[-1])
    except BadName as error:
        raise _Problem(path, f"This cannot be the name of an account: {error}") from error
    return Account(name, _rooms((*path, "groups"), table.get("groups", []), spellings),
                   _hash((*path, "hash"), table.get("hash")))


def _hash(path: tuple[str, ...], hash: Any) -> str:
    if hash is None:
        raise _Problem(path[:-1], f"{path[-2]} has no hash; `webchat accounts passwd` makes one.")
    if not isinstance(hash, str) or not passwords.is_hash(hash):
        raise _Problem(path, "This is not an Argon2id hash; `webchat accounts passwd` makes one.")
    if passwords.cost(hash) > MAX_COST:
        raise _Problem(path, "This hash takes too long to compare; `webchat accounts passwd` makes one that does not.")
    return hash


def _rooms(path: tuple[str, ...], groups: Any, spellings: dict[str, str]) -> tuple[str, ...]:
    """Return the rooms, each once, in the spelling that comes first in the file."""
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _Problem(path, 'groups has to be a list of names, such as ["Taskmaster"].')
    try:
        rooms = [names.parse_room(group) for group in groups]
    except BadName as error:
        raise _Problem(path, f"This cannot be the name of a room: {error}") from error
    return tuple(dict.fromkeys(spellings.setdefault(room.casefold(), room) for room in rooms))


def _line(text: str, path: tuple[str, ...]) -> int:
    """Return the line of a key, or of the innermost table around it when the key is part of an inline table."""
    lines = _lines_by_path(text)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines_by_path(text: str) -> dict[tuple[str, ...], int]:
    """Return the line on which each table begins and each key is set, found by reading line by line."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := TABLE_HEADER.fullmatch(line):
            table = path = _keys(header[1])
        elif assignment := KEY_ASSIGNMENT.match(line):
            path = (*table, *_keys(f"{assignment[1]} = 0"))
        else:
            continue
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], number)
    return lines


def _keys(toml: str) -> tuple[str, ...]:
    """Return the nested keys that one line of TOML sets; none when the line is only part of a value."""
    try:
        value: Any = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(value, dict) and value:
        (key, value), = value.items()
        keys.append(key)
    return tuple(keys)
