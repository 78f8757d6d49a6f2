"""`webchat accounts`: creates and changes the accounts file."""

import codecs
import errno
import os
import shutil
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import click
import tomlkit

from webchat import streams, toml
from webchat.chat import accounts_file, names, passwords
from webchat.chat.accounts_file import AccountsError
from webchat.chat.errors import BadName
from webchat.chat.passwords import BadPassword
from webchat.toml import TomlError

NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)
"""Errors that mean: no new file can be put in this folder, be given to the same owner, or take the place of a mount."""

Tables = MutableMapping[str, Any]
"""The accounts' tables, by the name of the account."""


class AccountsFile:
    """The accounts file as a TOML document, so that changes keep its comments and its order."""

    def __init__(self, path: Path):
        self.path = path

    def title(self, name: str) -> str | None:
        """Return an account's name as the file spells it; None if it has none. Raises AccountsError, BadName."""
        key = names.parse(name).key
        return next((title for title in _tables(self._document()) if names.key(title) == key), None)

    @contextmanager
    def change(self) -> Iterator[Tables]:
        """Change the accounts' tables, which are keyed by name. The file is written at the end.

        Raises AccountsError; the accounts are unchanged then.
        """
        document = self._document()
        yield _tables(document)
        text = tomlkit.dumps(document)
        accounts_file.parse(text, str(self.path))
        try:
            self._write(text)
        except OSError as error:
            raise AccountsError(f"The accounts file {self.path} cannot be changed: {error.strerror}.") from error

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(toml.read(self.path))
        except FileNotFoundError:
            return tomlkit.document()
        except (OSError, TomlError, tomlkit.exceptions.ParseError) as error:
            accounts_file.read(self.path)  # raises a sentence, with the line number
            raise AccountsError(f"{self.path}: {error}.") from error

    def _write(self, text: str) -> None:
        """Write the text as the file was before: with its line ends and byte order mark. A link stays a link."""
        file = Path(os.path.realpath(self.path))
        before = file.read_bytes() if file.exists() else b""
        if b"\r\n" in before:
            text = text.replace("\n", "\r\n")
        content = text.encode("utf-8-sig" if before.startswith(codecs.BOM_UTF8) else "utf-8")
        try:
            _replace(file, content)
        except OSError as error:
            if error.errno not in NOT_REPLACEABLE or not file.exists():
                raise
            _overwrite(file, content)


def _tables(document: tomlkit.TOMLDocument) -> Tables:
    tables = document.setdefault("accounts", tomlkit.table(is_super_table=True))
    if not isinstance(tables, MutableMapping):
        raise AccountsError("In the accounts file, an account begins with a line like [accounts.Alex].")
    return tables


def _replace(file: Path, content: bytes) -> None:
    """Put a new file in the place of this one, in one step, with the same owner, group and permissions.

    A file that does not exist yet is readable by its owner only: with the hashes, others could guess passwords offline.
    """
    with NamedTemporaryFile("wb", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            if file.exists():
                before = file.stat()
                os.chown(new.name, before.st_uid, before.st_gid)
                shutil.copystat(file, new.name)  # also access control lists and SELinux's label
                os.utime(new.name)
            os.fsync(new.fileno())
            os.replace(new.name, file)
        except BaseException:
            os.unlink(new.name)
            raise


def _overwrite(file: Path, content: bytes) -> None:
    """Write over a file. What it loses or gains in length is empty lines at its end until all else has been written."""
    with file.open("r+b") as opened:
        length = opened.seek(0, os.SEEK_END)
        opened.write(b"\n" * (len(content) - length))
        opened.flush()  # on a full disk this fails, before anything is lost
        opened.seek(0)
        opened.write(content.ljust(length, b"\n"))
        opened.flush()
        os.fsync(opened.fileno())
        opened.truncate(len(content))


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn expected errors into one sentence and exit status 1."""
    try:
        yield
    except (AccountsError, BadName, BadPassword) as error:
        raise click.ClickException(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), default="accounts.toml",
              envvar="WEBCHAT_ACCOUNTS", show_default=True, show_envvar=True, help="The accounts file.")
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """Create and change the accounts file, for `webchat --accounts FILE`.

    A running server reads the file again on SIGHUP.
    """
    context.obj = AccountsFile(path)
    context.with_resource(_sentences())


PASSWORD_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@main.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="A group, whose room it may join. Repeatable.")
@PASSWORD_STDIN
@click.pass_obj
def add(file: AccountsFile, name: str, groups: tuple[str, ...], password_stdin: bool) -> None:
    """Add an account; asks for its password."""
    if existing := file.title(name):
        raise click.ClickException(f"{existing} has an account already.")
    title = names.parse(name).text
    rooms = {room.casefold(): room for room in map(names.parse_room, groups)}
    table = tomlkit.table()
    table["hash"] = passwords.hashed(_password(password_stdin))
    table["groups"] = list(rooms.values())
    with file.change() as tables:
        tables[title] = table
    streams.say(f"{title} has an account now, in {file.path}.", sys.stdout)


@main.command()
@click.argument("name")
@PASSWORD_STDIN
@click.pass_obj
def passwd(file: AccountsFile, name: str, password_stdin: bool) -> None:
    """Change an account's password."""
    title = _title(file, name)
    hash = passwords.hashed(_password(password_stdin))
    with file.change() as tables:
        tables[title]["hash"] = hash
    streams.say(f"{title} has a new password now.", sys.stdout)


@main.command()
@click.argument("name")
@click.pass_obj
def remove(file: AccountsFile, name: str) -> None:
    """Remove an account; its name is free afterwards."""
    title = _title(file, name)
    with file.change() as tables:
        del tables[title]
    streams.say(f"{title} has no account any more.", sys.stdout)


@main.command(name="list")
@click.pass_obj
def list_(file: AccountsFile) -> None:
    """Print a line for each account: the name, and after a tab the groups."""
    for account in accounts_file.read(file.path):
        streams.say("\t".join((account.name.text, ", ".join(account.rooms))).rstrip(), sys.stdout)


def _title(file: AccountsFile, name: str) -> str:
    if title := file.title(name):
        return title
    raise click.ClickException(f"{file.path} has no account named {name}.")


def _password(from_stdin: bool) -> str:
    """Return the password. It is never an argument, because other users of this machine can see the command line."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
