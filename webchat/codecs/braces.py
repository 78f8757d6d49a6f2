"""`{HEADER}body` over TCP, port 33002: the server's half, and the client's half below it.

What the contract leaves open is settled so:

- What is typed can start no frame: a `{word}` in a text arrives with a fullwidth brace, `｛word}`, and each line of a
  text is a frame of its own, `{ALL}Hugo: line`, because a client that prints bodies would show a second line bare.
- What the server itself says (refusals included) arrives as `{ALL}sentence`, and holds no `: `, so that no client
  takes its beginning for a sender.
- An account's owner registers with `{REGISTER}name|password`; no name holds a bar.
- `{REGISTER}` again takes another name.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from webchat.chat.errors import ChatError
from webchat.chat.events import ChatMessage, Command, Event, Login, Notice, Presence, Say, Tell, Welcome
from webchat.codecs.commands import ListUsers, Quit
from webchat.codecs.stream_input import OtherProtocol, Overlong, is_other_protocol

FRAME_LIMIT = 16 * 1024
"""Characters of a frame; a text of 4,096 always fits."""

BRACE_IDLE_TIME = 0.05
"""Seconds after which what a client without newlines sent is a message."""

UNFINISHED_TIME = 0.5
"""Seconds that a frame may pause which is plainly not complete: without its newline, from a client that ends its
messages with one; in the middle of its header, or of a character."""

ALL, CLIENTS, REGISTER, QUIT = "ALL", "CLIENTS", "REGISTER", "QUIT"
KEYWORDS = frozenset({ALL, CLIENTS, REGISTER, QUIT})

_HEADER = re.compile(r"\{([^{}\n]{1,64})\}")
_BREAKS = re.compile("[\n\u2028\u2029]")


# The server's half: what a connection sends.


@dataclass(frozen=True, slots=True)
class MissingHeader:
    """Text with no header before it."""


BraceInput = Command | Quit | ListUsers | Overlong | OtherProtocol | MissingHeader


class BraceDecoder:
    """The bytes of one connection to commands.

    `is_user(name)` says whether somebody of that name is connected: his `{name}` begins a message even in the middle
    of another. `ending` is "" until, and unless, the first message ends with a newline; then it is that newline, and
    the client is answered with the same. `deadline` is the seconds of silence after which `idle()` is to be called, or
    None.
    """

    def __init__(self, is_user: Callable[[str], bool], limit: int = FRAME_LIMIT, silence: float = BRACE_IDLE_TIME,
                 patience: float = UNFINISHED_TIME):
        self.ending = ""
        self._is_user = is_user
        self._limit = limit
        self._silence = silence
        self._patience = patience
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._buffer = ""
        self._started = False
        self._skipping = False

    @property
    def deadline(self) -> float | None:
        if not self._buffer and not self._inside_character():
            return None
        complete = _complete(self._buffer) and not self.ending or self._buffer.strip() in ("", f"{{{QUIT}}}")
        return self._silence if complete and not self._inside_character() else self._patience

    def receive(self, data: bytes) -> list[BraceInput]:
        """Take one segment; never raises."""
        self._buffer += self._utf8.decode(data)
        if not self._skipping and (unindented := self._buffer.lstrip(" \t")).startswith("{"):
            self._buffer = unindented  # or the blanks before a header would be an empty message: a goodbye
        return list(self._frames())

    def idle(self) -> list[BraceInput]:
        """Silence for `deadline` seconds: what is there is a message, unless it is more than one."""
        return self.end()

    def end(self) -> list[BraceInput]:
        """The end of the input ends the last message, too."""
        rest = self._buffer + self._utf8.decode(b"", final=True)
        self._utf8.reset()
        self._buffer = ""
        skipped, self._skipping = self._skipping, False
        if skipped or not rest:
            return []
        self._started = True
        return [_message(rest)]

    def _inside_character(self) -> bool:
        return bool(self._utf8.getstate()[0])

    def _frames(self) -> Iterator[BraceInput]:
        if not self._started and is_other_protocol(self._buffer.encode()):
            self._buffer = ""
            yield OtherProtocol()
            return
        at = 0
        for start in self._starts():
            yield from self._ended(self._buffer[at:start])
            at = start
        self._buffer = self._buffer[at:]
        if self._buffer.endswith("\n") and (self.ending or not self._started):
            if not self._started:
                self.ending = "\r\n" if self._buffer.endswith("\r\n") else "\n"
            frame, self._buffer = self._buffer, ""
            yield from self._ended(frame)
        elif len(self._buffer) > self._limit:
            if not self._skipping:
                yield Overlong()
            self._skipping = True
        if self._skipping:
            self._buffer = self._buffer[-64:]  # a header may have begun

    def _starts(self) -> list[int]:
        """Where in the buffer, after its beginning, a message begins."""
        return [match.start() for match in _HEADER.finditer(self._buffer) if match.start() and self._begins(match)]

    def _begins(self, match: re.Match[str]) -> bool:
        # After a newline that ends messages any header counts, or what was meant for somebody who has just left would
        # be said as a part of the message before.
        ends = self.ending or not self._started
        after_newline = ends and self._buffer[match.start() - 1] == "\n"
        return after_newline or match[1] in KEYWORDS or self._is_user(match[1])

    def _ended(self, frame: str) -> Iterator[BraceInput]:
        """A message that is complete, its newline included if it has one."""
        if not self._started and frame.endswith("\n"):
            self.ending = "\r\n" if frame.endswith("\r\n") else "\n"
        self._started = True
        if self._skipping:
            self._skipping = False
            return
        if len(frame) > self._limit:
            yield Overlong()
            return
        body = frame.removesuffix("\n").removesuffix("\r")
        yield _message(body)
        if self.ending and body.strip() and body.endswith("\n"):
            yield Quit()  # a blank line came after it in the same segment


def _complete(buffer: str) -> bool:
    """Whether this can be a whole message: anything but the beginning of a header."""
    return not buffer.startswith("{") or "}" in buffer


def _message(frame: str) -> BraceInput:
    text = frame.replace("\r\n", "\n")
    if not text.strip():
        return Quit()
    match = _HEADER.match(text)
    if match is None:
        return MissingHeader()
    header, body = match[1], text[match.end() :].strip("\n")
    return _COMMANDS.get(header, lambda body: Tell(header, body))(body)


def _register(body: str) -> Login:
    name, _, password = body.strip().partition("|")
    return Login(name.strip(), password)


_COMMANDS: dict[str, Callable[[str], BraceInput]] = {
    REGISTER: _register,
    ALL: lambda body: Say(body),
    QUIT: lambda body: Quit(),
    CLIENTS: lambda body: ListUsers(),
}


# The server's half: what a connection hears.


class FrameBatch(NamedTuple):
    """What goes out for one event: chunks, each to be a write of its own, and whether the list of people is due."""

    chunks: tuple[bytes, ...]
    roster: bool = False


def encode_bare(event: Event) -> FrameBatch | None:
    """An event for those who end their messages with nothing; None where this door has nothing to say."""
    return batch(frames, isinstance(event, Presence)) if (frames := as_frames(event)) else None


def encode_lf(event: Event) -> FrameBatch | None:
    """The same for those who end them with LF."""
    return batch(frames, isinstance(event, Presence), "\n") if (frames := as_frames(event)) else None


def encode_crlf(event: Event) -> FrameBatch | None:
    """The same for those who end them with CRLF."""
    return batch(frames, isinstance(event, Presence), "\r\n") if (frames := as_frames(event)) else None


BRACE_ENCODERS: dict[str, Callable[[Event], FrameBatch | None]] = {
    "": encode_bare, "\n": encode_lf, "\r\n": encode_crlf,
}


def batch(frames: list[str], roster: bool = False, ending: str = "") -> FrameBatch:
    """Frames as bytes: together where an ending separates them, each by itself where nothing but time does."""
    if ending:
        return FrameBatch(("".join(frame + ending for frame in frames).encode("utf-8", "replace"),), roster)
    return FrameBatch(tuple(frame.encode("utf-8", "replace") for frame in frames), roster)


def as_frames(event: Event) -> list[str]:
    """An event as text: no frame, one or more, without their endings."""
    encoder = _AS_FRAMES.get(type(event))
    return encoder(event) if encoder else []


def sentence(text: str) -> list[str]:
    """A word from the server itself."""
    return [_frame(ALL, _unlike_speech(line)) for line in _BREAKS.split(text)]


def _unlike_speech(line: str) -> str:
    return line.replace(": ", " – ")


def roster(names: tuple[str, ...]) -> str:
    return _frame(CLIENTS, "|".join(names))


def _chat_message(event: ChatMessage) -> list[str]:
    header = event.to_user or ALL
    mark = f"[#{event.room}] " if event.room else ""
    return [_frame(header, f"{mark}{event.from_user}: {guarded(line)}") for line in _BREAKS.split(event.text)]


def _presence(event: Presence) -> list[str]:
    if event.room:
        return []
    return [_frame(ALL, f"{name} has left the chat.") for name in event.left] + [
        _frame(ALL, f"{name} has joined the chat!") for name in event.joined
    ]


_AS_FRAMES: dict[type, Callable] = {
    ChatMessage: _chat_message,
    Presence: _presence,
    Notice: lambda event: sentence(event.message),
    Welcome: lambda event: [_frame(event.username, f"Welcome, {event.username}!")],
}


def _frame(header: str, body: str) -> str:
    return f"{{{header}}}{body}"


def guarded(text: str) -> str:
    """The text with no `{word}` in it that could be taken for a header."""
    closing = text.rfind("}")
    return text[:closing].replace("{", "\uff5b") + text[closing:] if closing >= 0 else text


# The client's half. It ends its messages with a newline, and so is answered in the same way.


@dataclass(frozen=True, slots=True)
class Registered:
    """The name is ours; `text` is the server's welcome."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ClientList:
    """Who is here, ourselves included."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """Somebody said something: to everyone, or (`private`) to us."""

    from_user: str
    text: str
    private: bool


@dataclass(frozen=True, slots=True)
class ServerLine:
    """A sentence of the server's: who came, who left, what was refused and why."""

    text: str


ReceivedFrame = Registered | ClientList | ReceivedMessage | ServerLine

_SPOKEN = re.compile(r"([^:<>{}|]+): (.*)", re.DOTALL)
_REFUSALS = {_unlike_speech(kind.sentence): kind.code for kind in ChatError.__subclasses__()}
_CAME_OR_WENT = re.compile(r"(.+) has (?:left the chat\.|joined the chat!)")


def register(name: str, password: str = "") -> bytes:
    return _line(REGISTER, f"{name}|{password}" if password else name)


def say(text: str) -> bytes:
    """To everyone. Each line of the text is a message of its own: a newline ends one."""
    return _lines(ALL, text)


def tell(name: str, text: str) -> bytes:
    """To one person, by his shown name."""
    return _lines(name, text)


def request_users() -> bytes:
    """Ask for the list of people; the answer also tells that the server is still there."""
    return _line(CLIENTS, "")


def quit() -> bytes:
    return _line(QUIT, "")


class ServerFrameDecoder:
    """What the server sends to what one hears."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[ReceivedFrame]:
        *frames, self._buffer = (self._buffer + data).split(b"\n")
        return [self._heard(frame.removesuffix(b"\r").decode("utf-8", "replace")) for frame in frames if frame]

    def _heard(self, frame: str) -> ReceivedFrame:
        match = _HEADER.match(frame)
        if match is None:
            return ServerLine(frame)
        header, body = match[1], frame[match.end() :]
        if header == CLIENTS:
            return ClientList(tuple(body.split("|")) if body else ())
        if header != ALL and body == f"Welcome, {header}!":
            return Registered(header, body)
        if spoken := _SPOKEN.fullmatch(body):
            return ReceivedMessage(spoken[1], spoken[2], private=header != ALL)
        return ServerLine(body)


def refusal_code(sentence: str) -> str | None:
    """The code of a refusal, if this sentence of the server's is one that is always put in the same words."""
    return _REFUSALS.get(sentence)


def is_presence(sentence: str) -> bool:
    """Whether this sentence of the server's says that somebody came or went."""
    return _CAME_OR_WENT.fullmatch(sentence) is not None


def _lines(header: str, text: str) -> bytes:
    return b"".join(_line(header, guarded(line)) for line in _BREAKS.split(text) if line.strip())


def _line(header: str, body: str) -> bytes:
    return _frame(header, body).encode("utf-8", "replace") + b"\n"
