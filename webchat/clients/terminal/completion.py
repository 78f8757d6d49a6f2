"""What Tab offers: commands, rooms and names."""

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from webchat.clients.link import ChatState
from webchat.codecs.commands import COMMANDS


class WordCompleter(Completer):
    """Offers the words of `words()` that contain what was typed, ignoring case: for a question with few answers."""

    def __init__(self, words: Callable[[], Iterable[str]]):
        self._words = words

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        typed = document.text_before_cursor
        for word in self._words():
            if typed.casefold() in word.casefold():
                yield Completion(word, start_position=-len(typed))


class ChatCompleter(Completer):
    """Offers commands at the beginning of a line, then their arguments; in a text, the names of people."""

    def __init__(self, state: ChatState):
        self._state = state

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        command, space, rest = text.partition(" ")
        if not text.startswith("/") or text.startswith("//"):
            yield from self._names_in(text)
        elif not space:
            yield from _matching(command, ((name, f"{name} " if entry.arguments else name, entry.help)
                                           for name, entry in COMMANDS.items()))
        elif command in ("/join", "/part"):
            rooms = self._state.groups if command == "/join" else self._state.rooms
            yield from _matching(rest, ((room, room, "") for room in rooms))
        elif command == "/msg":
            yield from _matching(rest, ((name, f"{_quoted(name)} ", "") for name in self._people()), strip='"')

    def _names_in(self, text: str) -> Iterator[Completion]:
        """Complete a name, possibly with spaces, at the end of the text. A name that begins the text gets a colon."""
        words = text.split(" ")
        for start in range(len(words)):
            fragment = " ".join(words[start:])
            if fragment:
                suffix = "" if start else ": "
                yield from _matching(fragment, ((name, name.rstrip("*") + suffix, "") for name in self._people()))

    def _people(self) -> list[str]:
        return sorted((name for name in self._state.people if not self._state.is_own_name(name)), key=str.casefold)


def _matching(typed: str, offers: Iterable[tuple[str, str, str]], strip: str = "") -> Iterator[Completion]:
    """Of the offers (name, text to insert, meaning), those whose name begins with `typed` without leading `strip`."""
    wanted = typed.lstrip(strip).casefold()
    for name, text, meaning in offers:
        if name.casefold().startswith(wanted):
            yield Completion(text, start_position=-len(typed), display=name, display_meta=meaning)


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
