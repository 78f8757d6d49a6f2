"""`{HEADER}body` over TCP, port 33002: the server's half, and the client's half below it.

What the protocol leaves open:

- No text can start a frame: what a client could take for a header, a keyword or the name of somebody who is connected,
  is sent with a fullwidth brace, `｛word}`. All other braces are sent as they were typed, because people talk about
  code. Each line of a text is a frame of its own, `{ALL}Hugo: line`, because clients print bodies as they are.
- Sentences of the server (refusals included) are sent as `{ALL}sentence`. They contain no `: `, so that no client
  takes their beginning for a sender.
- The owner of an account registers with `{REGISTER}name|password`; no name contains a bar.
- A second `{REGISTER}` changes the name.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from webchat.chat.errors import ChatError
from webchat.chat.events import ChatMessage, Command, Event, Login, Notice, Presence, Say, Tell, Welcome
from webchat.codecs.commands import ListUsers, Quit
from webchat.codecs.greetings import Greeting, OtherProtocol
from webchat.codecs.stream_input import LineSplitter, Overlong

FRAME_LIMIT = 16 * 1024
"""Characters of a frame; a text of 4,096 always fits."""

BRACE_IDLE_TIME = 0.05
"""Seconds of silence after which a message of a client that sends no newlines is complete."""

UNFINISHED_TIME = 0.5
"""Seconds of silence after which even a message is taken that does not look complete: one without its newline from a
client that ends its messages with one, or one that ends inside a header or a character."""

ALL, CLIENTS, REGISTER, QUIT = "ALL", "CLIENTS", "REGISTER", "QUIT"
KEYWORDS = frozenset({ALL, CLIENTS, REGISTER, QUIT})

GUARDED_KEYWORDS = KEYWORDS | {"MSG"}
"""Words that no text may contain in braces; in some versions of the exercise, a message from the server is `{MSG}`."""

REGISTER_HINT = f"Type {{{REGISTER}}}NAME"
PASSWORD_HINT = f"{REGISTER_HINT}|PASSWORD"

IsUser = Callable[[str], bool]
"""Says whether a word, spelled exactly like this, is the name of somebody who is connected."""

LONGEST_HEADER = 64

_REGISTRATION = f"{{{REGISTER}}}"
_HEADER = re.compile(rf"\{{([^{{}}\n]{{1,{LONGEST_HEADER}}})\}}")
_UNFINISHED_HEADER = re.compile(rf"\{{[^{{}}\n]{{0,{LONGEST_HEADER}}}\Z")
_LINE_BREAK = re.compile("[\n\u2028\u2029]")


# The server's half: what a client sends.


@dataclass(frozen=True, slots=True)
class MissingHeader:
    """A message that does not begin with a header."""


BraceInput = Command | ListUsers | Quit | Overlong | OtherProtocol | MissingHeader
"""What a client asks for; an empty message is a `Quit`."""


class BraceDecoder:
    """Turns the bytes of one connection into commands; a `webchat.codecs.stream_input.StreamDecoder`.

    `is_user(name)` says whether somebody of that name is connected: their `{name}` starts a message even in the middle
    of another. It is asked once for each `{word}`, when the messages before that have been taken: a client that
    registers may go on in the same segment. `limit` is in characters, `idle_time` and `unfinished_time` in seconds.

    `ending` is "" until the first message ends with a newline, with which the client is to be answered from then on; it
    stays so if that message ends without one.

    While `is_stranger`, names start no message, because the refusals would tell who is here; except in a registration.
    Each character is examined and copied a fixed number of times, however the input is cut into segments: what has been
    searched lies in `_searched` until its message is complete, and only the rest is looked at again.
    """

    def __init__(self, is_user: IsUser, limit: int = FRAME_LIMIT, idle_time: float = BRACE_IDLE_TIME,
                 unfinished_time: float = UNFINISHED_TIME, is_stranger: bool = False):
        self.ending = ""
        self.is_stranger = is_stranger
        self._is_registering = False
        self._is_user = is_user
        self._limit = limit
        self._idle_time = idle_time
        self._unfinished_time = unfinished_time
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._greeting = Greeting()
        self._searched: list[str] = []  # the beginning of the present message, in pieces
        self._size = 0  # of these pieces together
        self._rest = ""  # what follows: the last character that was searched, and what may become a header
        self._has_started = False  # the first message is complete
        self._skipping = False

    @property
    def idle_after(self) -> float | None:
        if not self._rest and not self._is_inside_character():
            return None
        is_complete = not self.ending and not self._is_inside_header() or self._is_goodbye()
        return self._idle_time if is_complete and not self._is_inside_character() else self._unfinished_time

    def receive(self, data: bytes) -> Iterator[BraceInput]:
        """Take one segment, and read messages as the iterator advances; never raises."""
        if found := self._greeting.receive(data):
            self._take("")
            yield found
            return
        self._append(self._utf8.decode(data))
        yield from self._messages()

    def idle(self) -> list[BraceInput]:
        """Take note of the silence: what has been received is a message."""
        return self.end()

    def end(self) -> list[BraceInput]:
        """Take note that the input has ended, and with it the last message."""
        message = self._take(self._rest + self._utf8.decode(b"", final=True))
        if found := self._greeting.end():
            return [found]
        skipped, self._skipping = self._skipping, False
        if skipped or not message:
            return []
        self._has_started = True
        return [_parse_message(message)]

    def _append(self, text: str) -> None:
        at_beginning = not self._searched and self._rest in ("", " ") and not self._skipping
        self._rest += text
        if at_beginning and (without_blanks := self._rest.lstrip(" \t")) != self._rest:
            # Blanks before a header are ignored; without one, a single blank stands for all of them: an empty message.
            self._rest = without_blanks if without_blanks.startswith("{") else f" {without_blanks}"

    def _is_inside_character(self) -> bool:
        return bool(self._utf8.getstate()[0])

    def _is_inside_header(self) -> bool:
        return not self._searched and _UNFINISHED_HEADER.match(self._rest) is not None

    def _is_goodbye(self) -> bool:
        is_short = self._size + len(self._rest) <= LONGEST_HEADER
        return is_short and "".join([*self._searched, self._rest]).strip() in ("", f"{{{QUIT}}}")

    def _messages(self) -> Iterator[BraceInput]:
        text, at = self._rest, 0
        if not self._searched:
            self._is_registering = text.startswith(_REGISTRATION)
        for match in _HEADER.finditer(text):
            if self._starts_message(match):
                yield from self._complete(self._take(text[at : match.start()]))
                at = match.start()
                self._is_registering = match[1] == REGISTER
        rest = text[at:]
        if rest.endswith("\n") and (self.ending or not self._has_started):
            yield from self._complete(self._take(rest))
            return
        if self._size + len(rest) > self._limit and not self._skipping:
            self._skipping = True
            yield Overlong()
        self._keep(rest)

    def _take(self, end: str) -> str:
        """The present message, whose end this is; nothing is kept of it."""
        message = "".join([*self._searched, end])
        self._forget()
        self._rest = ""
        return message

    def _forget(self) -> None:
        self._searched.clear()
        self._size = 0

    def _keep(self, rest: str) -> None:
        """Keep this for the next segment: what may become a header, and the character before it, stay in `_rest`."""
        unfinished = _UNFINISHED_HEADER.search(rest, max(len(rest) - LONGEST_HEADER - 1, 0))
        kept_from = max((unfinished.start() if unfinished else len(rest)) - 1, 0)
        if self._skipping:
            self._forget()  # only the next header matters, and whether a newline stands before it
        elif kept_from:
            self._searched.append(rest[:kept_from])
            self._size += kept_from
        self._rest = rest[kept_from:]

    def _starts_message(self, match: re.Match[str]) -> bool:
        if match.start() == 0:
            return False  # this is the header of the present message
        # After a newline that ends messages every header counts. Otherwise a message to somebody who has just left
        # would be said as a part of the message before it.
        newlines_end_messages = self.ending or not self._has_started
        after_newline = newlines_end_messages and match.string[match.start() - 1] == "\n"
        if after_newline or match[1] in KEYWORDS:
            return True
        return (self._is_registering or not self.is_stranger) and self._is_user(match[1])

    def _complete(self, message: str) -> Iterator[BraceInput]:
        """A whole message, including its newline if it has one."""
        if not self._has_started and message.endswith("\n"):
            self.ending = "\r\n" if message.endswith("\r\n") else "\n"
        self._has_started = True
        self._greeting.end()
        if self._skipping:
            self._skipping = False
            return
        if len(message) > self._limit:
            yield Overlong()
            return
        body = message.removesuffix("\n").removesuffix("\r")
        yield _parse_message(body)
        if self.ending and body.endswith("\n"):
            yield Quit()  # a blank line followed in the same segment


def _parse_message(message: str) -> BraceInput:
    text = message.replace("\r\n", "\n")
    if not text.strip():
        return Quit()
    if (match := _HEADER.match(text)) is None:
        return MissingHeader()
    header, body = match[1], text[match.end() :].strip("\n\r\0")  # CR, and CR NUL, are what some programs end with
    parse = _PARSERS.get(header)
    return parse(body) if parse else Tell(header, body)


def _parse_register(body: str) -> Login:
    name, _, password = body.strip().partition("|")
    return Login(name.strip(), password)


_PARSERS: dict[str, Callable[[str], BraceInput]] = {
    REGISTER: _parse_register,
    ALL: lambda body: Say(body),
    QUIT: lambda body: Quit(),
    CLIENTS: lambda body: ListUsers(),
}


# The server's half: what a client receives.


class FrameBatch(NamedTuple):
    """What is sent for one event: bytes that each have to be a write of their own.

    `roster` says whether the list of people has to follow, because it has changed.
    """

    chunks: tuple[bytes, ...]
    roster: bool = False


BraceEncoder = Callable[[Event], FrameBatch | None]
"""Turns an event into what is sent; None if this door does not show it."""


def encoders(is_user: IsUser) -> dict[str, BraceEncoder]:
    """For each ending, the encoder of events for the clients that end their messages with it.

    Make them once for all connections: an event is encoded once for each encoder.
    """
    return {ending: partial(_encode, is_user, ending) for ending in ("", "\n", "\r\n")}


def _encode(is_user: IsUser, ending: str, event: Event) -> FrameBatch | None:
    frames = as_frames(event, is_user)
    return batch(frames, isinstance(event, Presence), ending) if frames else None


def batch(frames: list[str], roster: bool = False, ending: str = "") -> FrameBatch:
    """Frames as bytes: one chunk if an ending separates them, otherwise a chunk for each."""
    encoded = [(frame + ending).encode("utf-8", "replace") for frame in frames]
    return FrameBatch((b"".join(encoded),) if ending else tuple(encoded), roster)


def as_frames(event: Event, is_user: IsUser) -> list[str]:
    """An event as text: zero or more frames, without their endings."""
    if isinstance(event, ChatMessage):
        return _chat_message(event, is_user)
    formatter = _FORMATTERS.get(type(event))
    return formatter(event) if formatter else []


def sentence(text: str) -> list[str]:
    """A sentence from the server, as frames."""
    return [_frame(ALL, _without_sender(line)) for line in _LINE_BREAK.split(text)]


def _without_sender(line: str) -> str:
    return line.replace(": ", " – ")


def roster(names: tuple[str, ...]) -> str:
    """The list of people who are here, as a frame."""
    return _frame(CLIENTS, "|".join(names))


def _chat_message(event: ChatMessage, is_user: IsUser) -> list[str]:
    header = event.to_user or ALL
    mark = f"[#{event.room}] " if event.room else ""
    text = guarded(event.text, is_user)
    return [_frame(header, f"{mark}{event.from_user}: {line}") for line in _LINE_BREAK.split(text)]


def _presence(event: Presence) -> list[str]:
    if event.room:
        return []
    return [_frame(ALL, f"{name} has left the chat.") for name in event.left] + [
        _frame(ALL, f"{name} has joined the chat!") for name in event.joined
    ]


_FORMATTERS: dict[type, Callable[[Any], list[str]]] = {
    Presence: _presence,
    Notice: lambda event: sentence(event.message),
    Welcome: lambda event: [_frame(event.username, f"Welcome, {event.username}!")],
}


def _frame(header: str, body: str) -> str:
    return f"{{{header}}}{body}"


def guarded(text: str, is_user: IsUser) -> str:
    """The text with a fullwidth brace in each `{word}` that a client could take for a header."""
    def guard(match: re.Match[str]) -> str:
        word = match[1]
        return f"\uff5b{word}}}" if word in GUARDED_KEYWORDS or is_user(word) else match[0]
    return _HEADER.sub(guard, text) if "{" in text else text


def spellings(names: Collection[str]) -> frozenset[str]:
    """What may stand in braces for these shown names: they themselves, and accounts' names without their asterisk."""
    return frozenset(names).union(name.removesuffix("*") for name in names)


# The client's half. It ends its messages with LF, so the server ends its own in the same way.


@dataclass(frozen=True, slots=True)
class Registered:
    """The server has accepted our name; `text` is its welcome."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ClientList:
    """The people who are here, ourselves included."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message to everyone or, with `private`, to us."""

    from_user: str
    text: str
    private: bool


@dataclass(frozen=True, slots=True)
class ServerLine:
    """A sentence from the server: who joined or left, or why a request was refused."""

    text: str


ReceivedFrame = Registered | ClientList | ReceivedMessage | ServerLine

_MESSAGE_BODY = re.compile(r"([^:<>{}|]+): (.*)", re.DOTALL)
_PRESENCE = re.compile(r"(.+) has (?:left the chat\.|joined the chat!)")
_CODES = {_without_sender(kind.sentence): kind.code for kind in ChatError.__subclasses__()}


def register(name: str, password: str = "") -> bytes:
    """Ask for a name; with a password, for an account's."""
    return _line(REGISTER, f"{name}|{password}" if password else name)


def say(text: str, is_user: IsUser) -> bytes:
    """Say something to everyone. Each line of the text is a message of its own, because a newline ends a message."""
    return _lines(ALL, text, is_user)


def tell(name: str, text: str, is_user: IsUser) -> bytes:
    """Say something to one person, by their shown name; each line of the text is a message of its own."""
    return _lines(name, text, is_user)


def request_users() -> bytes:
    """Ask for the list of people. The answer also shows that the server has dealt with everything before it."""
    return _line(CLIENTS, "")


def quit() -> bytes:
    """Ask the server to end the connection."""
    return _line(QUIT, "")


class ServerFrameDecoder:
    """Turns the bytes that a client receives into frames."""

    def __init__(self) -> None:
        self._splitter = LineSplitter()

    def receive(self, data: bytes) -> list[ReceivedFrame]:
        """Take one segment; never raises."""
        return [_parse_frame(frame.decode("utf-8", "replace")) for frame in self._splitter.receive(data) if frame]


def _parse_frame(frame: str) -> ReceivedFrame:
    if (match := _HEADER.match(frame)) is None:
        return ServerLine(frame)
    header, body = match[1], frame[match.end() :]
    if header == CLIENTS:
        return ClientList(tuple(body.split("|")) if body else ())
    if header != ALL and body == f"Welcome, {header}!":
        return Registered(header, body)
    if message := _MESSAGE_BODY.fullmatch(body):
        return ReceivedMessage(message[1], message[2], private=header != ALL)
    return ServerLine(body)


def refusal_code(sentence: str) -> str | None:
    """The code of a refusal that always has the same words; None for every other sentence of the server."""
    return _CODES.get(without_hint(sentence))


def without_hint(sentence: str) -> str:
    """A refusal without what it tells people to type, for programs that ask for it themselves."""
    return sentence.removesuffix(PASSWORD_HINT).removesuffix(REGISTER_HINT).rstrip()


def is_presence(sentence: str) -> bool:
    """Whether a sentence of the server says that somebody joined or left."""
    return _PRESENCE.fullmatch(sentence) is not None


def _lines(header: str, text: str, is_user: IsUser) -> bytes:
    lines = _LINE_BREAK.split(guarded(text, is_user))
    return b"".join(_line(header, line) for line in lines if line.strip())


def _line(header: str, body: str) -> bytes:
    return _frame(header, body).encode("utf-8", "replace") + b"\n"
