"""`webchat chat`: the chat in a terminal, or between two programs."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

import click

from webchat.clients.address import Address
from webchat.clients.command_line import ClientCommand, address_reader, ca_option
from webchat.clients.link import BAD_CREDENTIALS_CODE, ChatState, ConnectionLost, Link, Refused, Wire
from webchat.clients.transcript import SystemMessage, TranscriptItem
from webchat.clients.trust import Trust

PASSWORD_VARIABLE = "WEBCHAT_PASSWORD"


@click.command("chat", cls=ClientCommand)
@click.argument("address", callback=address_reader(), default="localhost")
@click.option("--name", help="Your name; asked for when it is not given.")
@click.option("--room", help="Enter this room of yours at once; what you type goes there.")
@ca_option
def main(address: Address, name: str | None, room: str | None, trust: Trust) -> int:
    """Chat in this terminal.

    ADDRESS is HOST or HOST:PORT for lines over TCP (localhost:7007 when it is left out), tls://HOST:PORT for lines over
    TLS, or ws://HOST:PORT/ws; with TLS that is wss://HOST:PORT/ws.

    Where input or output is no terminal, every line of the input is said, and what others say is written to the
    output. The password of an account is asked for, or comes from WEBCHAT_PASSWORD; there is no flag for it, because
    other users of a machine see the arguments of its programs.
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not is_terminal and not name:
        raise click.UsageError("Without a terminal to ask on, --name is needed.")
    state = ChatState(name=name or "", password=os.environ.get(PASSWORD_VARIABLE, ""))
    try:
        return asyncio.run((_run_in_terminal if is_terminal else _run_in_pipe)(address, trust, state, room))
    except (Refused, ConnectionLost) as error:
        raise click.ClickException(_explanation(error)) from error
    except KeyboardInterrupt:
        return 0 if is_terminal else 130


async def open_wire(address: Address, trust: Trust, state: ChatState, show: Callable[[TranscriptItem], None]) -> Wire:
    """Connect with the protocol of the address. Only that protocol's module is loaded. Raises ConnectionLost."""
    if address.url:
        from webchat.clients.terminal.websocket_wire import WebSocketWire

        return await WebSocketWire.open(address, state, show, trust)
    from webchat.clients.terminal.line_wire import LineWire

    return await LineWire.open(address, state, show, trust)


async def _run_in_pipe(address: Address, trust: Trust, state: ChatState, room: str | None) -> int:
    from webchat.clients.terminal import pipe

    printer = pipe.Printer(state, sys.stdout)
    link = Link(partial(open_wire, address, trust, state), state, printer.show, pipe.report, printer.set_status)
    return await pipe.run(link, room, pipe.read_lines(sys.stdin.fileno()))


async def _run_in_terminal(address: Address, trust: Trust, state: ChatState, room: str | None) -> int:
    # Here, because a pipe can do without prompt_toolkit, which takes long to load.
    from webchat.clients.terminal import interactive
    from webchat.clients.terminal.screen import Screen

    screen = Screen(state)
    link = Link(partial(open_wire, address, trust, state), state, screen.show,
                lambda sentence: screen.show(SystemMessage(sentence)), screen.set_status)
    visit = asyncio.create_task(interactive.run(link, screen, room, asks_password=address.url is not None))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, visit.cancel)
    await visit
    print("Goodbye.")
    return 0


def _explanation(error: Refused | ConnectionLost) -> str:
    if isinstance(error, Refused) and error.code == BAD_CREDENTIALS_CODE:
        return f"That name belongs to an account, and the password in {PASSWORD_VARIABLE} is missing or wrong."
    return f"{str(error).removesuffix('.')}."
