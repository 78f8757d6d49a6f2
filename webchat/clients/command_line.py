"""What the command lines of the clients have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from webchat.clients.address import LINES_PORT, Address, parse
from webchat.clients.trust import CA_VARIABLE, Trust


class ClientCommand(click.Command):
    """A command that answers wrong usage with its usage line and exit status 2, and `-h` with its help."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click. Returns the exit status."""
        try:
            return super().main(*args, **kwargs)
        except click.UsageError as error:
            error.show()
            return error.exit_code


def address_reader(port: int = LINES_PORT) -> Callable[[click.Context, click.Parameter, str], Address]:
    """A click callback that turns an argument into an `Address`; `port` is used where the argument has none."""

    def read(context: click.Context, parameter: click.Parameter, text: str) -> Address:
        try:
            return parse(text, port)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from error

    return read


def _read_trust(context: click.Context, parameter: click.Parameter, file: Path | None) -> Trust:
    trust = Trust(file)
    try:
        if file:
            assert trust.context  # loads the file
    except OSError as error:
        raise click.BadParameter(f"{file} contains no certificate (PEM).", context, parameter) from error
    return trust


ca_option = click.option(
    "--ca", "trust", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path), envvar=CA_VARIABLE,
    show_envvar=True, callback=_read_trust,
    help="Trust the certificate authority in this file (PEM), too, where the address has TLS.")
"""Passes a `Trust` to the command."""
