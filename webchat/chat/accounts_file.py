"""The accounts file, in TOML:

    [accounts.Alex]
    hash = "$argon2id$…"
    groups = ["8 out of 10 cats", "Taskmaster"]

Groups are the rooms that the owner of the account is a member of. `webchat accounts` edits such a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from webchat import toml
from webchat.chat import names, passwords
from webchat.chat.errors import BadName
from webchat.chat.names import Name
from webchat.toml import TomlError

ACCOUNT_KEYS = ("hash", "groups")
MAX_COST = 1 << 22
"""Cost of a comparison (see `passwords.cost`): twice the highest that RFC 9106 recommends; it takes some seconds."""


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
        return parse(toml.read(path), str(path))
    except OSError as error:
        raise AccountsError(f"The accounts file {path} cannot be read: {error.strerror}.") from error
    except TomlError as error:
        raise AccountsError(str(error)) from error


def parse(text: str, source: str) -> tuple[Account, ...]:
    """Return the accounts in the text of a file; `source` is its name in errors. Raises AccountsError."""
    try:
        return tuple(_accounts(toml.parse(text, source)))
    except TomlError as error:
        raise AccountsError(str(error)) from error
    except _Problem as problem:
        raise AccountsError(f"{source}, line {toml.line(text, problem.path)}: {problem}") from problem


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
