"""The chat for a person at a terminal: log in, choose a room, talk, leave."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from webchat.clients.link import BAD_CREDENTIALS_CODE, ConnectionLost, Link, Refused, pauses
from webchat.clients.terminal.screen import Screen
from webchat.clients.transcript import SystemMessage, printable


async def run(link: Link, screen: Screen, room: str | None, asks_password: bool) -> None:
    """Chat until the user leaves, or until the task is cancelled.

    `asks_password` is for protocols in which guests and accounts log in the same way: the password is asked for before
    the first attempt, and the user's groups are offered after it. Otherwise it is asked for when the server wants one.
    """
    keeper = None
    try:
        await log_in(link, screen, [room] if room else [], asks_password)
        keeper = asyncio.create_task(link.keep_open())
        if asks_password and not room:
            await offer_rooms(link, screen)
        await screen.talk(partial(_send, link, screen))
    except (EOFError, KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        if keeper:
            keeper.cancel()
        await link.close()
        screen.flush()


async def log_in(link: Link, screen: Screen, rooms: Sequence[str], asks_password: bool,
                 pauses: Callable[[], Iterator[float]] = pauses) -> None:
    """Ask for what is missing until the login succeeds. Raises EOFError, KeyboardInterrupt."""
    state, asked, waits = link.state, False, pauses()
    while True:
        while not state.name:
            state.name = await screen.ask("Name: ")
        if asks_password and not state.password and not asked:
            state.password = await screen.ask("Password (Enter for a guest): ", hidden=True)
            asked = True
        try:
            return await link.open(rooms)
        except Refused as refusal:
            screen.show(SystemMessage(str(refusal)))
            asked, state.password = False, ""
            if refusal.code == BAD_CREDENTIALS_CODE and not asks_password:
                state.password = await screen.ask(f"Password of {state.name} (Enter for another name): ", hidden=True)
            if not state.password:
                state.name = ""
        except ConnectionLost as lost:
            pause = next(waits)
            screen.show(SystemMessage(f"{lost}; next attempt in {max(pause, 1):.0f} s (Ctrl-C ends this)."))
            await asyncio.sleep(pause)


async def offer_rooms(link: Link, screen: Screen) -> None:
    """Ask a member of groups which room to enter first. Raises EOFError, KeyboardInterrupt."""
    groups = link.state.groups
    if not groups:
        return
    choices = [f"  {number}  {printable(room)}" for number, room in enumerate(groups, 1)]
    question = "\n".join(["Join a chat room", *choices, "Its number or name (Enter for none): "])
    while choice := await screen.ask(question, words=groups):
        room = groups[int(choice) - 1] if choice.isdecimal() and 0 < int(choice) <= len(groups) else choice
        try:
            return await link.send(f'/join "{room}"')
        except (Refused, ConnectionLost) as error:
            screen.show(SystemMessage(str(error)))


async def _send(link: Link, screen: Screen, line: str) -> None:
    """Send a line, and show the reason if it is refused. Raises ConnectionLost."""
    try:
        await link.send(line)
    except Refused as refusal:
        screen.show(SystemMessage(str(refusal)))
