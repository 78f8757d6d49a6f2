"""A terminal that one talks in: what is heard appears above the line that one is typing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app_or_none
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from webchat.clients.colours import Colours
from webchat.clients.link import Link, Lost, is_goodbye
from webchat.clients.terminal.completion import ChatCompleter, WordCompleter
from webchat.clients.transcript import Item, printable, styled

GREY = "#767676"
"""As far from black as from white."""

GOODBYE_TIME = 5.0
"""Seconds for what was typed before a goodbye to be sent."""

STYLE = Style.from_dict({
    "time": f"fg:{GREY}", "server": f"fg:{GREY}", "room": f"fg:{GREY} bold", "private": "reverse", "own": "bold",
    "offline": "fg:#af5f00 bold", "bottom-toolbar": "noreverse fg:#ffffff bg:#3a3a3a", "online": "fg:#87d787",
    "away": "fg:#ffaf5f", "hint": "bold",
})

class Screen:
    """One terminal. Nothing that was typed is kept on the disk, and a line with a password not even in the history."""

    def __init__(self, **terminal):
        """`terminal`: prompt_toolkit's `input` and `output`; by default those of the process."""
        self._terminal = terminal
        self._asking = PromptSession(**terminal)
        self._colours = Colours()
        self._unprinted: list[Item] = []
        self._link: Link | None = None
        self._hint = ""
        self._typed: asyncio.Queue[str] = asyncio.Queue()

    def attach(self, link: Link) -> None:
        """The link that what is typed goes to."""
        self._link = link
        self._talking = PromptSession(
            message=self._prompt, bottom_toolbar=self._toolbar, style=STYLE, history=_DiscreetHistory(),
            completer=ChatCompleter(link.here), complete_while_typing=False, key_bindings=self._bindings(),
            erase_when_done=True, include_default_pygments_style=False, **self._terminal)

    def refresh(self) -> None:
        """The link's status is another."""
        if self._link:
            self._talking.app.invalidate()

    def show(self, item: Item) -> None:
        """Print an item above the line that is being typed; those of one moment are printed together."""
        if not self._unprinted:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unprinted.append(item)

    def flush(self) -> None:
        """Print what there is.

        Not with prompt_toolkit's `run_in_terminal`: it hands the terminal back to the system for a moment, and a Ctrl-D
        or a character that is typed in that moment goes astray.
        """
        items, self._unprinted = self._unprinted, []
        app = get_app_or_none()
        is_prompting = app is not None and app.is_running
        if is_prompting:
            app.renderer.erase()
        self._write(items)
        if is_prompting:
            app.renderer.request_absolute_cursor_position()
            app.invalidate()

    async def ask(self, question: str, hidden: bool = False, words: Iterable[str] = ()) -> str:
        """An answer in one line, without the spaces around it; a hidden one as it is. Raises EOFError."""
        self.flush()
        answer = await self._asking.prompt_async(
            question, is_password=hidden, completer=WordCompleter(lambda: words), complete_while_typing=False)
        return answer if hidden else answer.strip()

    async def talk(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Hand over each line that is typed, one after the other, until one is a goodbye.

        `send` may raise Lost: then the line stands there again. Raises EOFError, KeyboardInterrupt for Ctrl-D, Ctrl-C.
        """
        self.flush()
        sending = asyncio.create_task(self._send_all(send))
        try:
            # One prompt for the whole conversation: between two, what is typed would be echoed wherever the cursor is.
            await self._talking.prompt_async()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_TIME):
                    await self._typed.join()
            sending.cancel()

    async def _send_all(self, send: Callable[[str], Awaitable[None]]) -> None:
        while True:
            line = await self._typed.get()
            try:
                await send(line)
            except Lost:
                self._give_back(line)
            finally:
                self._typed.task_done()

    def _give_back(self, line: str) -> None:
        buffer = self._talking.default_buffer
        buffer.document = Document("\n".join(filter(None, [line, buffer.text])))
        self._hint = "This line may not have arrived. "
        self.refresh()

    def _write(self, items: list[Item]) -> None:
        own, now, output = (self._link.here.name if self._link else ""), time.time(), self._asking.output
        for item in items:
            for line in styled(item, self._colours, own, now):
                print_formatted_text(output, FormattedText([*line, ("", "\n")]), STYLE)
        output.flush()

    def _prompt(self) -> FormattedText:
        here = self._link.here
        room = [("class:room", f" #{printable(here.room)}")] if here.room else []
        # Also here, because on a terminal that does not say where its cursor is there is no toolbar.
        state = [] if self._link.online else [("class:offline", " (offline)")]
        return FormattedText([("class:own", printable(here.name)), *room, *state, ("", "> ")])

    def _toolbar(self) -> FormattedText:
        link = self._link
        if not link.online:
            return FormattedText([("class:away", " ○ "), ("class:hint", self._hint), ("", printable(link.status))])
        count = len(link.here.people)
        where = f"in #{printable(link.here.room)}" if link.here.room else "to everyone"
        said = f"{link.status} as {printable(link.here.name)} · {where} · {count} here · /help · Ctrl-D leaves "
        return FormattedText([("class:online", " ● "), ("class:hint", self._hint), ("", said)])

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter")
        def enter(event: KeyPressEvent) -> None:
            """What cannot be sent stays where it can be changed."""
            buffer = event.current_buffer
            if is_goodbye(buffer.text):
                event.app.exit(result=buffer.text)
            elif not self._link.online and buffer.text.strip():
                self._hint = "Your line is kept; press Enter when the connection is back. "
            else:
                self._hint = ""
                if buffer.text.strip():
                    self._typed.put_nowait(buffer.text)
                buffer.reset(append_to_history=bool(buffer.text.strip()))

        return bindings


class _DiscreetHistory(InMemoryHistory):
    """Without the lines that hold a password."""

    def append_string(self, string: str) -> None:
        if not string.casefold().startswith("/login"):
            super().append_string(string)

