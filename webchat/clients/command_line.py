"""What the command lines of the clients have in common."""

from collections.abc import Callable
from typing import Any

import click

from webchat.clients.address import LINES_PORT, Address, parse


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
