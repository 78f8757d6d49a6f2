"""What the clients' command lines share."""

from typing import Any

import click

from webchat.clients.address import LINES_PORT, Address, parse


class Command(click.Command):
    """A command whose wrong usage is told with the usage, and is exit status 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click; returns the exit status."""
        try:
            return super().main(*args, **kwargs)
        except click.UsageError as error:
            error.show()
            return error.exit_code


class AddressType(click.ParamType):
    """An address as `webchat.clients.address` reads it; `port` is that of an address without one."""

    name = "address"

    def __init__(self, port: int = LINES_PORT):
        self._port = port

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """See click."""
        try:
            return parse(value, self._port)
        except ValueError as error:
            self.fail(str(error), param, ctx)
