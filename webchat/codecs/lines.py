"""Lines of UTF-8 over TCP, port 7007: the server's half, and the client's half below it.

What a client receives, one line each:

    name: text                  a message to everyone
    [private] name: text        a private message
    [#room] name: text          a message to a room
    -!- sentence                from the server

No text can imitate such a beginning: each line of a text carries its sender's prefix, and a name that starts with
punctuation, as the brackets and `-!-` do, is shown as `<name>` (no name contains an angle bracket).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from webchat.chat.errors import BadCredentials, ChatError
from webchat.chat.events import ChatMessage, Event, Notice, Presence
from webchat.codecs import keys
from webchat.codecs.greetings import Greeting, OtherProtocol
from webchat.codecs.stream_input import LineSplitter, Overlong
from webchat.codecs.telnet import Telnet

LINE_LIMIT = 16 * 1024
"""Bytes before a newline; a text of 4,096 characters in UTF-8 always fits."""

LINE_IDLE_TIME = 0.2
"""Seconds of silence after which text that came as one segment without a newline is a line."""

SERVER = "-!- "
PRIVATE = "[private] "
LOGIN_HINT = "Type: /login NAME PASSWORD"
NAME_HINT = "Type your name alone, or NAME: text"

LF, CRLF = b"\n", b"\r\n"

_LINE_END = re.compile(rb"\n\r?|\r[\n\0]?")
"""CR NUL is what a telnet client in character mode sends (RFC 854), CR alone what others in character mode send."""

_SECOND_BYTES = {b"\n": b"\r", b"\r": b"\n\0"}
"""What belongs to a line ending of one byte if it comes next, perhaps in another segment."""

_LINE_BREAK = re.compile("[\n\u2028\u2029]")
_PUNCTUATION = frozenset({"Pd", "Ps", "Pe", "Pi", "Pf", "Po"})


# The server's half: what a client sends.


@dataclass(frozen=True, slots=True)
class Line:
    """A line, without its ending, and with the corrections of the person who typed it carried out."""

    text: str


@dataclass(frozen=True, slots=True)
class TelnetAnswer:
    """Bytes to send back unchanged: the answer to a telnet negotiation."""

    data: bytes


LineInput = Line | Overlong | TelnetAnswer | OtherProtocol


class LineDecoder:
    """Turns the bytes of one connection into lines; a `webchat.codecs.stream_input.StreamDecoder`.

    `limit` is in bytes, `idle_time` in seconds. `ending` is the line ending that the client used first.

    Some clients never send a newline. From a client that has sent none, text that came as one segment (one call of
    `receive`) is a line after `idle_time`. What one key sends is not: it comes from a person who has begun to type
    into a telnet that sends each key.
    """

    def __init__(self, limit: int = LINE_LIMIT, idle_time: float = LINE_IDLE_TIME):
        self.ending = LF
        self._limit = limit
        self._idle_time = idle_time
        self._telnet = Telnet()
        self._greeting = Greeting()
        self._buffer = bytearray()
        self._second_bytes = b""
        self._segments = 0  # of the unfinished line, as long as no newline has been sent
        self._uses_newlines = False
        self._has_ended_by_silence = False
        self._skipping = False

    @property
    def idle_after(self) -> float | None:
        if self._uses_newlines or self._telnet.seen or self._segments != 1:
            return None
        is_one_key = keys.is_one(self._buffer) and not self._skipping
        return self._idle_time if self._has_ended_by_silence or not is_one_key else None

    def receive(self, data: bytes) -> list[LineInput]:
        """Take one segment. Raises ProtocolViolation for a telnet subnegotiation that does not end."""
        text, answer = self._telnet.receive(data)
        if self._telnet.seen and not self._uses_newlines:
            self.ending = CRLF
        items: list[LineInput] = [TelnetAnswer(answer)] if answer else []
        if found := self._greeting.receive(text):
            self._buffer.clear()
            items.append(found)
        elif text:
            items += self._lines(text)
        return items

    def idle(self) -> list[LineInput]:
        """Take note of the silence: what has been received is a line."""
        self._has_ended_by_silence = True
        return self.end()

    def end(self) -> list[LineInput]:
        """Take note that the input has ended, and with it the last line."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._segments = 0
        if found := self._greeting.end():
            return [found]
        if self._skipping:
            self._skipping = False
            return []
        return [_line(rest)] if rest else []

    def _lines(self, text: bytes) -> Iterator[LineInput]:
        if text[0] in self._second_bytes:
            text = text[1:]
        self._second_bytes = b""
        search_from = len(self._buffer)
        self._buffer += text
        self._segments += 1
        at = 0
        for match in _LINE_END.finditer(self._buffer, search_from):
            if not self._uses_newlines:
                self._uses_newlines = True
                self.ending = LF if match[0].startswith(LF) else CRLF
            yield from self._complete(bytes(self._buffer[at : match.start()]))
            at = match.end()
            if at == len(self._buffer):
                self._second_bytes = _SECOND_BYTES.get(match[0], b"")
        del self._buffer[:at]
        if len(self._buffer) > self._limit:
            if not self._skipping:
                yield Overlong()
            self._skipping = True
        if self._skipping:
            self._buffer.clear()

    def _complete(self, line: bytes) -> Iterator[LineInput]:
        if self._skipping:
            self._skipping = False
        elif len(line) > self._limit:
            yield Overlong()
        else:
            yield _line(line)


def _line(data: bytes) -> Line:
    return Line(keys.typed(data.decode("utf-8", "replace")))


# The server's half: what a client receives.


def display_name(name: str) -> str:
    """A name as it begins a line: in angle brackets if it could be taken for a mark of the server."""
    return f"<{name}>" if unicodedata.category(name[0]) in _PUNCTUATION else name


def server_lines(sentence: str) -> str:
    """A sentence from the server, as lines ended by LF."""
    return _prefixed(SERVER, sentence)


def encode_lf(event: Event) -> bytes | None:
    """An event for clients that end their lines with LF; None if this door does not show it."""
    text = as_lines(event)
    return text.encode("utf-8", "replace") if text else None


def encode_crlf(event: Event) -> bytes | None:
    """An event for clients that end their lines with CRLF; None if this door does not show it."""
    text = as_lines(event)
    return text.replace("\n", "\r\n").encode("utf-8", "replace") if text else None


LINE_ENCODERS: dict[bytes, Callable[[Event], bytes | None]] = {LF: encode_lf, CRLF: encode_crlf}
"""For each line ending, the encoder of events."""


def as_lines(event: Event) -> str:
    """An event as text: zero or more lines, each ended by LF."""
    formatter = _FORMATTERS.get(type(event))
    return formatter(event) if formatter else ""


def _message(event: ChatMessage) -> str:
    mark = f"[#{event.room}] " if event.room else PRIVATE if event.to_user else ""
    return _prefixed(f"{mark}{display_name(event.from_user)}: ", event.text)


def _presence(event: Presence) -> str:
    where = f" #{event.room}" if event.room else ""
    return "".join(
        f"{SERVER}{name} has {verb}{where}\n"
        for names, verb in ((event.left, "left"), (event.joined, "joined"))
        for name in names
    )


def _notice(event: Notice) -> str:
    return server_lines(event.message)


_FORMATTERS: dict[type, Callable[[Any], str]] = {ChatMessage: _message, Presence: _presence, Notice: _notice}


def _prefixed(prefix: str, text: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in _LINE_BREAK.split(text))


def people_sentence(names: tuple[str, ...]) -> str:
    """The sentence that lists the people who are here; `listed_people` reads it."""
    return f"{len(names)} here: {' | '.join(names)}"


# The client's half.


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """A line from the server. `kind` is "message", "private", "room" or "server"; only a server's has no sender."""

    kind: str
    text: str
    sender: str | None = None
    room: str | None = None


_MESSAGE_LINE = re.compile(
    r"(?:(?P<private>\[private\] )|\[#(?P<room>.+?)\] )?(?:<(?P<quoted>[^<>]+)>|(?P<name>[^:<>{}|]+)): (?P<text>.*)"
)
_WELCOME = re.compile(r"You are (?P<name>[^:<>{}|]+)\. \d+ here: .*")
_PEOPLE = re.compile(r"(?:You are .+\. )?\d+ here: (?P<names>.*)")
_PRESENCE = re.compile(r"(?P<name>[^:<>{}|]+) has (?P<verb>joined|left)(?: #(?P<room>.+))?")
_ROOMS = re.compile(r"Your rooms: (?P<names>.*)|You are not a member of any room\.")
_TARGET = re.compile(r"What you type goes to (?:#(?P<room>.+) now;|everyone)")
_CODES = {kind.sentence: kind.code for kind in ChatError.__subclasses__()}


class ServerLineDecoder:
    """Turns the bytes that a client receives into lines."""

    def __init__(self) -> None:
        self._splitter = LineSplitter()

    def receive(self, data: bytes) -> list[ReceivedLine]:
        """Take one segment; never raises."""
        return [parse_line(line.decode("utf-8", "replace")) for line in self._splitter.receive(data)]


def parse_line(line: str) -> ReceivedLine:
    """A line from the server, by its kind; a line of no known form counts as the server's."""
    if line.startswith(SERVER):
        return ReceivedLine("server", line[len(SERVER) :])
    if match := _MESSAGE_LINE.fullmatch(line):
        kind = "private" if match["private"] else "room" if match["room"] else "message"
        return ReceivedLine(kind, match["text"], match["quoted"] or match["name"], match["room"])
    return ReceivedLine("server", line)


def encode_typed(text: str) -> bytes:
    """What a person typed, as bytes to send: each line that is not blank, ended by LF."""
    return b"".join(line.encode("utf-8", "replace") + LF for line in _LINE_BREAK.split(text) if line.strip())


def encode_login(name: str, password: str) -> bytes:
    """The command that asks for an account's name.

    Double quotes keep the spaces inside a name, and those at either end of a password.
    """
    return encode_typed(f"/login {_quoted(name, ' ' in name)} {_quoted(password, password != password.strip())}")


def _quoted(text: str, needed: bool) -> str:
    return f'"{text}"' if needed else text


# The client's half: what the server's sentences mean. Each function returns None for a sentence of another meaning.


def assigned_name(sentence: str) -> str | None:
    """The name that the server has given to this client."""
    match = _WELCOME.fullmatch(sentence)
    return match["name"] if match else None


def listed_people(sentence: str) -> tuple[str, ...] | None:
    """The people in the list that follows a login, and answers `/users`."""
    match = _PEOPLE.fullmatch(sentence)
    return _names(match) if match else None


def listed_rooms(sentence: str) -> tuple[str, ...] | None:
    """The rooms in the answer to `/rooms`."""
    match = _ROOMS.fullmatch(sentence)
    return _names(match) if match else None


def _names(match: re.Match[str]) -> tuple[str, ...]:
    return tuple(match["names"].split(" | ")) if match["names"] else ()


def presence_change(sentence: str) -> tuple[str, bool] | None:
    """The name of somebody who joined (True) or left (False) the chat; None for a room."""
    match = _PRESENCE.fullmatch(sentence)
    return (match["name"], match["verb"] == "joined") if match and not match["room"] else None


def is_presence(sentence: str) -> bool:
    """Whether somebody joined or left, the chat or a room."""
    return _PRESENCE.fullmatch(sentence) is not None


def current_target(sentence: str) -> tuple[str | None] | None:
    """Where typed text goes from now on: `(room,)`, or `(None,)` for everyone."""
    match = _TARGET.search(sentence)
    return (match["room"],) if match else None


def expects_tls(sentence: str) -> bool:
    """Whether the server has ended the connection because it was expected to begin with TLS."""
    return sentence == "This port expects TLS."


def refusal_code(sentence: str) -> str | None:
    """The code of a refusal that always has the same words."""
    return BadCredentials.code if sentence.endswith(LOGIN_HINT) else _CODES.get(without_hint(sentence))


def without_hint(sentence: str) -> str:
    """A refusal without what it tells people to type, for programs that ask for it themselves."""
    return sentence.removesuffix(LOGIN_HINT).removesuffix(NAME_HINT).rstrip()
