"""The terminal of a person: what arrives is printed above the line that is being typed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app_or_none
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from webchat.clients.colours import Colours
from webchat.clients.link import ChatState, ConnectionLost, is_quit
from webchat.clients.terminal.completion import ChatCompleter, WordCompleter
from webchat.clients.transcript import TranscriptItem, printable, styled

GREY = "#767676"
"""The grey with the same contrast on black and on white."""

FLUSH_TIMEOUT = 5.0
"""Seconds to send what was typed before the user left."""

STYLE = Style.from_dict({
    "time": f"fg:{GREY}", "server": f"fg:{GREY}", "room": f"fg:{GREY} bold", "private": "reverse", "own": "bold",
    "offline": "fg:#af5f00 bold", "bottom-toolbar": "noreverse fg:#ffffff bg:#3a3a3a", "online": "fg:#87d787",
    "away": "fg:#ffaf5f", "hint": "bold",
})


class Screen:
    """A terminal with prompts, and with the conversation above them.

    Nothing that is typed is written to disk; lines with a password are not even kept in the history of the prompt.
    `input` and `output` are prompt_toolkit's; by default they are the terminal of the process.
    """

    def __init__(self, state: ChatState, input: Input | None = None, output: Output | None = None):
        self._state = state
        self._online = False
        self._status = ""
        self._hint = ""
        self._colours = Colours()
        self._unprinted: list[TranscriptItem] = []
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._questions: PromptSession[str] = PromptSession(input=input, output=output)
        self._conversation: PromptSession[str] = PromptSession(
            message=self._prompt, bottom_toolbar=self._toolbar, style=STYLE, history=_HistoryWithoutPasswords(),
            completer=ChatCompleter(state), complete_while_typing=False, key_bindings=self._bindings(),
            erase_when_done=True, include_default_pygments_style=False, input=input, output=output)

    def set_status(self, online: bool, status: str) -> None:
        """Take the status of the link; the prompt and the toolbar show it."""
        self._online, self._status = online, status
        self._conversation.app.invalidate()

    def show(self, item: TranscriptItem) -> None:
        """Print an item above the line that is being typed. Items that arrive together are printed together."""
        if not self._unprinted:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unprinted.append(item)

    def flush(self) -> None:
        """Print the items that wait.

        prompt_toolkit's `run_in_terminal` will not do: it returns the terminal to its normal mode for a moment, and
        keys pressed in that moment are lost.
        """
        items, self._unprinted = self._unprinted, []
        app = get_app_or_none()
        if app is None or not app.is_running:
            self._print(items)
            return
        app.renderer.erase()
        self._print(items)
        app.renderer.request_absolute_cursor_position()
        app.invalidate()

    async def ask(self, question: str, hidden: bool = False, words: Iterable[str] = ()) -> str:
        """Ask for one line, with Tab offering `words`. Returns it without the spaces around it, unless it is hidden.

        Raises EOFError, KeyboardInterrupt for Ctrl-D, Ctrl-C.
        """
        self.flush()
        answer = await self._questions.prompt_async(
            question, is_password=hidden, completer=WordCompleter(lambda: words), complete_while_typing=False)
        return answer if hidden else answer.strip()

    async def talk(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Pass each typed line to `send`, one after the other, until one asks to leave.

        If `send` raises ConnectionLost, the line is put back into the prompt. Raises EOFError, KeyboardInterrupt for
        Ctrl-D, Ctrl-C.
        """
        self.flush()
        sender = asyncio.create_task(self._send_all(send))
        try:
            # One prompt for the whole conversation: keys pressed between two prompts would be echoed anywhere.
            await self._conversation.prompt_async()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT):
                    await self._typed.join()
            sender.cancel()

    async def _send_all(self, send: Callable[[str], Awaitable[None]]) -> None:
        while True:
            line = await self._typed.get()
            try:
                await send(line)
            except ConnectionLost:
                self._put_back(line)
            finally:
                self._typed.task_done()

    def _put_back(self, line: str) -> None:
        buffer = self._conversation.default_buffer
        buffer.document = Document("\n".join(filter(None, [line, buffer.text])))
        self._hint = "This line may not have arrived. "
        self._conversation.app.invalidate()

    def _print(self, items: list[TranscriptItem]) -> None:
        now, output = time.time(), self._questions.output
        for item in items:
            for line in styled(item, self._colours, self._state.name, now):
                print_formatted_text(output, FormattedText([*line, ("", "\n")]), STYLE)
        output.flush()

    def _prompt(self) -> FormattedText:
        state = self._state
        room = [("class:room", f" #{printable(state.room)}")] if state.room else []
        # Repeated here because a terminal that does not report its cursor position gets no toolbar.
        offline = [] if self._online else [("class:offline", " (offline)")]
        return FormattedText([("class:own", printable(state.name)), *room, *offline, ("", "> ")])

    def _toolbar(self) -> FormattedText:
        state = self._state
        if not self._online:
            return FormattedText([("class:away", " ○ "), ("class:hint", self._hint), ("", printable(self._status))])
        target = f"in #{printable(state.room)}" if state.room else "to everyone"
        own_name, count = printable(state.name), len(state.people)
        status = f"{self._status} as {own_name} · {target} · {count} here · /help · Ctrl-D leaves "
        return FormattedText([("class:online", " ● "), ("class:hint", self._hint), ("", status)])

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter")
        def enter(event: KeyPressEvent) -> None:
            """Send the line. While there is no connection it stays in the prompt, where it can still be edited."""
            buffer = event.current_buffer
            if is_quit(buffer.text):
                event.app.exit(result=buffer.text)
            elif not self._online and buffer.text.strip():
                self._hint = "Your line is kept; press Enter when the connection is back. "
            else:
                self._hint = ""
                if buffer.text.strip():
                    self._typed.put_nowait(buffer.text)
                buffer.reset(append_to_history=bool(buffer.text.strip()))

        return bindings


class _HistoryWithoutPasswords(InMemoryHistory):
    def append_string(self, string: str) -> None:
        if not string.casefold().startswith("/login"):
            super().append_string(string)
