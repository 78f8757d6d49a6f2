"""`webchat accounts`: creates and changes the accounts file."""

import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import click
import tomlkit

from webchat.chat import accounts_file, names, passwords
from webchat.chat.accounts_file import AccountsError
from webchat.chat.errors import BadName
from webchat.chat.passwords import BadPassword

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
        """Change the accounts' tables, which are keyed by name. The file is replaced at the end, in one step.

        Raises AccountsError; the file is unchanged then.
        """
        document = self._document()
        yield _tables(document)
        text = tomlkit.dumps(document)
        accounts_file.parse(text, str(self.path))
        self._replace(text)

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self.path.read_text(encoding="utf-8")) if self.path.exists() else tomlkit.document()
        except (tomlkit.exceptions.ParseError, UnicodeDecodeError) as error:
            accounts_file.read(self.path)  # raises a sentence with the line number
            raise AccountsError(f"{self.path}: {error}.") from error

    def _replace(self, text: str) -> None:
        """Write the file, readable by its owner only: with the hashes, others could guess passwords offline."""
        target = self.path.resolve()
        with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.",
                                delete=False) as new:
            try:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
                os.replace(new.name, target)
            except BaseException:
                os.unlink(new.name)
                raise


def _tables(document: tomlkit.TOMLDocument) -> Tables:
    tables = document.setdefault("accounts", tomlkit.table(is_super_table=True))
    if not isinstance(tables, MutableMapping):
        raise AccountsError("In the accounts file, an account begins with a line like [accounts.Alex].")
    return tables


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn expected errors into one sentence and exit status 1."""
    try:
        yield
    except (AccountsError, BadName, BadPassword) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"The accounts file {path} cannot be changed: {error.strerror}.") from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), default="accounts.toml",
              envvar="WEBCHAT_ACCOUNTS", show_default=True, show_envvar=True, help="The accounts file.")
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """Create and change the accounts file, for `webchat --accounts FILE`.

    A running server reads the file again on SIGHUP.
    """
    context.obj = AccountsFile(path)
    context.with_resource(_sentences(path))


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
    click.echo(f"{title} has an account now, in {file.path}.")


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
    click.echo(f"{title} has a new password now.")


@main.command()
@click.argument("name")
@click.pass_obj
def remove(file: AccountsFile, name: str) -> None:
    """Remove an account; its name is free afterwards."""
    title = _title(file, name)
    with file.change() as tables:
        del tables[title]
    click.echo(f"{title} has no account any more.")


@main.command(name="list")
@click.pass_obj
def list_(file: AccountsFile) -> None:
    """Print a line for each account: the name, and after a tab the groups."""
    for account in accounts_file.read(file.path):
        click.echo("\t".join((account.name.text, ", ".join(account.rooms))).rstrip())


def _title(file: AccountsFile, name: str) -> str:
    if title := file.title(name):
        return title
    raise click.ClickException(f"{file.path} has no account named {name}.")


def _password(from_stdin: bool) -> str:
    """Return the password. It is never an argument, because other users of this machine can see the command line."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
