"""`webchat chat`: the chat in a terminal, or between the programs of a pipe."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from webchat.clients.address import Address
from webchat.clients.command_line import AddressType, Command
from webchat.clients.link import Here, Link, Lost, Refused, Wire, pauses
from webchat.clients.transcript import Item, Sentence, printable

if TYPE_CHECKING:
    from webchat.clients.terminal.screen import Screen

PASSWORD = "WEBCHAT_PASSWORD"
BAD_CREDENTIALS = "bad-credentials"


@click.command("chat", cls=Command)
@click.argument("address", type=AddressType(), default="localhost")
@click.option("--name", help="Your name; asked for when it is not given.")
@click.option("--room", help="Enter this room of yours at once; what you type goes there.")
def main(address: Address, name: str | None, room: str | None) -> int:
    """Chat in this terminal.

    ADDRESS is HOST or HOST:PORT for lines over TCP (localhost:7007 when it is left out), or ws://HOST:PORT/ws.

    Where input or output is no terminal, every line of the input is said, and what others say is written to the
    output. The password of an account is asked for, or comes from WEBCHAT_PASSWORD; there is no flag for it, because
    other users of a machine see the arguments of its programs.
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not is_terminal and not name:
        raise click.UsageError("Without a terminal to ask on, --name is needed.")
    here = Here(name=name or "", password=os.environ.get(PASSWORD, ""))
    try:
        return asyncio.run((_converse if is_terminal else _pipe)(address, here, room))
    except (Refused, Lost) as error:
        raise click.ClickException(_hinting(error)) from error
    except KeyboardInterrupt:
        return 0 if is_terminal else 130


async def open_wire(address: Address, here: Here, hear: Callable[[Item], None]) -> Wire:
    """Connect in the protocol of the address; each is loaded only where it is spoken. Raises Lost."""
    if address.url:
        from webchat.clients.terminal.websocket_wire import WebSocketWire as Kind
    else:
        from webchat.clients.terminal.line_wire import LineWire as Kind
    return await Kind.open(address, here, hear)


async def _pipe(address: Address, here: Here, room: str | None) -> int:
    from webchat.clients.terminal.pipe import Printer, report, run

    printer = Printer()
    printer.link = Link(partial(open_wire, address, here), here, printer.show, report)
    return await run(printer.link, room)


def _hinting(error: Exception) -> str:
    if isinstance(error, Refused) and error.code == BAD_CREDENTIALS:
        return f"That name belongs to an account, and the password in {PASSWORD} is missing or wrong."
    sentence = str(error)
    return sentence if sentence.endswith(".") else f"{sentence}."


async def _converse(address: Address, here: Here, room: str | None) -> int:
    """A person's visit, from the first question to the goodbye."""
    from webchat.clients.terminal.screen import Screen

    screen = Screen()
    link = Link(partial(open_wire, address, here), here, screen.show, lambda text: screen.show(Sentence(text)),
                screen.refresh)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)
    keeper = None
    try:
        await _log_in(address, link, screen, [room] if room else [])
        screen.attach(link)
        keeper = asyncio.create_task(link.keep())
        if address.url and not room:
            await _offer_rooms(link, screen)
        await screen.talk(partial(_send, link, screen))
    except (EOFError, KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        if keeper:
            keeper.cancel()
        await link.leave()
        screen.flush()
        print("Goodbye.")
    return 0


async def _log_in(address: Address, link: Link, screen: "Screen", rooms: list[str]) -> None:
    """Ask for what is missing, until the chat lets one in. Raises EOFError, KeyboardInterrupt."""
    here, asked, waits = link.here, False, pauses()
    while True:
        while not here.name:
            here.name = await screen.ask("Name: ")
        if address.url and not here.password and not asked:
            here.password = await screen.ask("Password (Enter for a guest): ", hidden=True)
            asked = True
        try:
            return await link.open(rooms)
        except Refused as refusal:
            screen.show(Sentence(str(refusal)))
            asked, here.password = False, ""
            if refusal.code == BAD_CREDENTIALS and not address.url:
                here.password = await screen.ask(f"Password of {here.name} (Enter for another name): ", hidden=True)
            if not here.password:
                here.name = ""
        except Lost as lost:
            pause = next(waits)
            screen.show(Sentence(f"{lost}; next attempt in {max(pause, 1):.0f} s (Ctrl-C ends this)."))
            await asyncio.sleep(pause)


async def _offer_rooms(link: Link, screen: "Screen") -> None:
    """The members of groups are asked which room they want first. Raises EOFError, KeyboardInterrupt."""
    groups = link.here.groups
    if not groups:
        return
    choices = [f"  {number}  {printable(room)}" for number, room in enumerate(groups, 1)]
    question = "\n".join(["Join a chat room", *choices, "Its number or name (Enter for none): "])
    while choice := await screen.ask(question, words=groups):
        room = groups[int(choice) - 1] if choice.isdecimal() and 0 < int(choice) <= len(groups) else choice
        try:
            return await link.send(f'/join "{room}"')
        except (Refused, Lost) as error:
            screen.show(Sentence(str(error)))


async def _send(link: Link, screen: "Screen", line: str) -> None:
    """What a refusal says is shown. Raises Lost."""
    try:
        await link.send(line)
    except Refused as refusal:
        screen.show(Sentence(str(refusal)))
