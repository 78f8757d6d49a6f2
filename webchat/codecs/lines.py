"""Lines of UTF-8 over TCP, port 7007: the server's half, and the client's half below it.

What one sees, one line each:

    name: text                  said to everyone
    [private] name: text        said to oneself alone
    [#room] name: text          said in a room
    -!- sentence                the server

Nothing that a person can type begins a line: each line of a text carries its sender's prefix, and a name that starts
with punctuation, as the brackets and the `-!-` above do, is shown as `<name>` (no name holds an angle bracket).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webchat.chat.errors import BadCredentials, ChatError
from webchat.chat.events import ChatMessage, Event, Notice, Presence
from webchat.codecs.stream_input import OtherProtocol, Overlong, is_other_protocol
from webchat.codecs.telnet import Telnet, erased

LINE_LIMIT = 16 * 1024
"""Bytes before a newline; 4,096 characters of UTF-8 always fit."""

LINE_IDLE_TIME = 0.2
"""Seconds after which text that came as one segment without a newline is a line."""

SERVER = "-!- "
PRIVATE = "[private] "
LOGIN_HINT = "Type: /login NAME PASSWORD"

LF, CRLF = b"\n", b"\r\n"

_NEWLINE = re.compile(rb"\r?\n|\r\0")
_BREAKS = re.compile("[\n\u2028\u2029]")
_PUNCTUATION = frozenset({"Pd", "Ps", "Pe", "Pi", "Pf", "Po"})


# The server's half: what a connection sends.


@dataclass(frozen=True, slots=True)
class Line:
    """A line, without its ending, and with the typist's corrections carried out."""

    text: str


@dataclass(frozen=True, slots=True)
class TelnetAnswer:
    """Bytes to send back as they are: telnet's own business."""

    data: bytes


LineInput = Line | Overlong | TelnetAnswer | OtherProtocol


class LineDecoder:
    """The bytes of one connection to lines.

    `ending` is the line ending that the peer used first, `deadline` the seconds of silence after which `idle()` is to
    be called, or None. Some clients never send a newline: from one that has not, text that came as one segment (one
    call of `receive`) is a line after a silence. One character is not: that is somebody typing into a telnet that
    sends each key, who has just begun.
    """

    def __init__(self, limit: int = LINE_LIMIT, silence: float = LINE_IDLE_TIME):
        self.ending = LF
        self._limit = limit
        self._silence = silence
        self._telnet = Telnet()
        self._buffer = bytearray()
        self._segments = 0
        self._ended_lines = 0
        self._cut_lines = 0
        self._skipping = False

    @property
    def deadline(self) -> float | None:
        if self._ended_lines or self._telnet.seen or self._segments != 1:
            return None
        whole = self._cut_lines or self._skipping or len(self._buffer[:8].decode(errors="replace")) > 1
        return self._silence if whole else None

    def receive(self, data: bytes) -> list[LineInput]:
        """Take one segment. Raises ProtocolViolation for telnet that does not end."""
        text, answer = self._telnet.receive(data)
        if self._telnet.seen and not self._ended_lines:
            self.ending = CRLF
        items: list[LineInput] = [TelnetAnswer(answer)] if answer else []
        if text:
            self._segments += 1
            scanned = len(self._buffer)
            self._buffer += text
            items += self._lines(max(scanned - 1, 0))
        return items

    def idle(self) -> list[LineInput]:
        """Silence for `deadline` seconds: what is there is a line."""
        self._cut_lines += 1
        return self.end()

    def end(self) -> list[LineInput]:
        """The end of the input ends the last line, too."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._segments = 0
        if self._skipping:
            self._skipping = False
            return []
        return [_line(rest)] if rest else []

    def _lines(self, scan: int) -> Iterator[LineInput]:
        if not self._ended_lines and not self._cut_lines and is_other_protocol(self._buffer):
            self._buffer.clear()
            yield OtherProtocol()
            return
        at = 0
        # A CR at the very end may be the first half of an ending; it stays in the buffer like any unfinished line.
        for match in _NEWLINE.finditer(self._buffer, scan):
            if not self._ended_lines:
                self.ending = LF if match[0] == LF else CRLF
            self._ended_lines += 1
            yield from self._complete(bytes(self._buffer[at : match.start()]))
            at = match.end()
        if at:
            del self._buffer[:at]
            self._segments = 1 if self._buffer else 0
        if len(self._buffer) > self._limit:
            if not self._skipping:
                yield Overlong()
            self._skipping = True
        if self._skipping:
            del self._buffer[:-1]  # the last byte may be the CR of an ending

    def _complete(self, line: bytes) -> Iterator[LineInput]:
        if self._skipping:
            self._skipping = False
        elif len(line) > self._limit:
            yield Overlong()
        else:
            yield _line(line)


def _line(data: bytes) -> Line:
    return Line(erased(data.decode("utf-8", "replace")))


# The server's half: what a connection hears.


def shown(name: str) -> str:
    """A name as it begins a line; never to be taken for a mark of the server's."""
    return f"<{name}>" if unicodedata.category(name[0]) in _PUNCTUATION else name


def server_lines(sentence: str) -> str:
    return _prefixed(SERVER, sentence)


def encode_lf(event: Event) -> bytes | None:
    """An event for those who end their lines with LF; None where a line would say nothing."""
    text = as_lines(event)
    return text.encode("utf-8", "replace") if text else None


def encode_crlf(event: Event) -> bytes | None:
    """The same for those who end them with CRLF."""
    text = as_lines(event)
    return text.replace("\n", "\r\n").encode("utf-8", "replace") if text else None


LINE_ENCODERS: dict[bytes, Callable[[Event], bytes | None]] = {LF: encode_lf, CRLF: encode_crlf}


def as_lines(event: Event) -> str:
    """An event as text: no line, one or more, each ended by LF."""
    encoder = _AS_LINES.get(type(event))
    return encoder(event) if encoder else ""


def _message(event: ChatMessage) -> str:
    mark = f"[#{event.room}] " if event.room else PRIVATE if event.to_user else ""
    return _prefixed(f"{mark}{shown(event.from_user)}: ", event.text)


def _presence(event: Presence) -> str:
    where = f" #{event.room}" if event.room else ""
    return "".join(
        f"{SERVER}{name} has {verb}{where}\n"
        for names, verb in ((event.left, "left"), (event.joined, "joined"))
        for name in names
    )


def _notice(event: Notice) -> str:
    return server_lines(event.message)


_AS_LINES: dict[type, Callable] = {ChatMessage: _message, Presence: _presence, Notice: _notice}


def _prefixed(prefix: str, text: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in _BREAKS.split(text))


# The client's half.


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """A line from the server. `kind` is "message", "private", "room" or "server"; a server's line has no sender."""

    kind: str
    text: str
    sender: str | None = None
    room: str | None = None


_SPOKEN = re.compile(
    r"(?:(?P<private>\[private\] )|\[#(?P<room>.+?)\] )?(?:<(?P<quoted>[^<>]+)>|(?P<name>[^:<>{}|]+)): (?P<text>.*)"
)
_WELCOME = re.compile(r"You are (?P<name>[^:<>{}|]+)\. (?P<count>\d+) here: (?P<names>.*)")
_PEOPLE = re.compile(r"(?:You are .+\. )?\d+ here: (?P<names>.*)")
_CAME_OR_WENT = re.compile(r"(?P<name>[^:<>{}|]+) has (?P<verb>joined|left)(?: #(?P<room>.+))?")
_GROUPS = re.compile(r"Your rooms: (?P<names>.*)|You are not a member of any room\.")
_TALKING = re.compile(r"What you type goes to (?:#(?P<room>.+) now;|everyone)")
_REFUSALS = {kind.sentence: kind.code for kind in ChatError.__subclasses__()}


class ServerLineDecoder:
    """What the server sends to what one hears."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[ReceivedLine]:
        *lines, self._buffer = (self._buffer + data).split(LF)
        return [parse_line(line.removesuffix(b"\r").decode("utf-8", "replace")) for line in lines]


def parse_line(line: str) -> ReceivedLine:
    """Tell the kinds of line apart."""
    if line.startswith(SERVER):
        return ReceivedLine("server", line[len(SERVER) :])
    if match := _SPOKEN.fullmatch(line):
        kind = "private" if match["private"] else "room" if match["room"] else "message"
        return ReceivedLine(kind, match["text"], match["quoted"] or match["name"], match["room"])
    return ReceivedLine("server", line)


def encode_typed(text: str) -> bytes:
    """What a person typed, as bytes to send: one line for each line of it."""
    return b"".join(line.encode("utf-8", "replace") + LF for line in _BREAKS.split(text) if line.strip())


def assigned_name(sentence: str) -> str | None:
    """The name that one has been given, if this sentence of the server's gives one."""
    match = _WELCOME.fullmatch(sentence)
    return match["name"] if match else None


def listed_people(sentence: str) -> tuple[str, ...] | None:
    """Who is here, if this sentence of the server's is the list (after the login, or `/users`)."""
    match = _PEOPLE.fullmatch(sentence)
    return tuple(match["names"].split(" | ")) if match else None


def presence_change(sentence: str) -> tuple[str, bool] | None:
    """A name, and whether it came (True) or left, if this sentence of the server's says so of the chat."""
    match = _CAME_OR_WENT.fullmatch(sentence)
    return (match["name"], match["verb"] == "joined") if match and not match["room"] else None


def is_presence(sentence: str) -> bool:
    """Whether this sentence of the server's says that somebody came or went, in the chat or in a room."""
    return _CAME_OR_WENT.fullmatch(sentence) is not None


def listed_rooms(sentence: str) -> tuple[str, ...] | None:
    """The rooms that one is a member of, if this sentence of the server's is the answer to `/rooms`."""
    match = _GROUPS.fullmatch(sentence)
    return match and (tuple(match["names"].split(" | ")) if match["names"] else ())


def current_target(sentence: str) -> tuple[str | None] | None:
    """Where what one types goes from now on, if this sentence of the server's says so: (room,), (None,) to everyone."""
    match = _TALKING.search(sentence)
    return match and (match["room"],)


def refusal_code(sentence: str) -> str | None:
    """The code of a refusal, if this sentence of the server's is one that is always put in the same words."""
    return BadCredentials.code if sentence.endswith(LOGIN_HINT) else _REFUSALS.get(sentence)


def encode_login(name: str, password: str) -> bytes:
    """The request for the name of an account; double quotes keep the spaces of a name, and those around a password."""
    return encode_typed(f"/login {_quoted(name, ' ' in name)} {_quoted(password, password != password.strip())}")


def _quoted(text: str, needed: bool) -> str:
    return f'"{text}"' if needed else text


def people_sentence(names: tuple[str, ...]) -> str:
    """The server's sentence that `listed_people` reads."""
    return f"{len(names)} here: {' | '.join(names)}"
