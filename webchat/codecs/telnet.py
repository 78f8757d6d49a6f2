"""Telnet negotiation (RFC 854, RFC 855): answered and removed, so that only text remains.

No option is ever accepted. Refusing them still matters: after Ctrl-C a telnet client sends DO TIMING-MARK and discards
everything that it receives until that is answered (RFC 860).
"""

import re

from webchat.net.errors import ProtocolViolation

IAC, DONT, DO, WONT, WILL = 255, 254, 253, 252, 251
ERASE_LINE, ERASE_CHARACTER, ARE_YOU_THERE = 248, 247, 246

SUBNEGOTIATION_LIMIT = 4096
"""Bytes of one subnegotiation; the longest in use are lists of environment variables, some hundred bytes."""

BACKSPACE, KILL = b"\b", b"\x15"
"""What the commands ERASE CHARACTER and ERASE LINE become in the text: the control characters of the same meaning."""

ARE_YOU_THERE_ANSWER = b"-!- Yes, the chat is here.\r\n"

_SEQUENCE = re.compile(
    rb"\xff(?:(?P<verb>[\xfb-\xfe])(?P<option>.)|(?P<subnegotiation>\xfa)|(?P<command>[\xec-\xf9\xff]))", re.DOTALL)
_UNFINISHED = re.compile(rb"\xff[\xfb-\xfe]?\Z")
_SUBNEGOTIATION_BODY = re.compile(rb"(?:[^\xff]|\xff[^\xf0])*")
_SUBNEGOTIATION_END = b"\xff\xf0"

_REFUSALS = {DO: WONT, WILL: DONT}
_TEXT = {IAC: b"\xff", ERASE_CHARACTER: BACKSPACE, ERASE_LINE: KILL}


class Telnet:
    """The negotiation of one connection. `seen` becomes True with the first telnet command."""

    __slots__ = ("_answer", "_held", "_skipped", "_text", "seen")

    def __init__(self) -> None:
        self.seen = False
        self._held = b""  # the beginning of a sequence that the last segment cut
        self._skipped: int | None = None  # bytes of the subnegotiation that is being skipped
        self._text = bytearray()
        self._answer = bytearray()

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Take one segment; return the text in it, and the bytes with which to answer the peer.

        Sequences may be cut anywhere. A byte 0xFF that starts no telnet command stays in the text.
        Raises ProtocolViolation for a subnegotiation that does not end.
        """
        if not self._held and self._skipped is None and b"\xff" not in data:
            return data, b""
        data, self._held = self._held + data, b""
        at = 0
        while at < len(data):
            at = self._text_until_command(data, at) if self._skipped is None else self._skip_subnegotiation(data, at)
        text, answer = bytes(self._text), bytes(self._answer)
        self._text.clear()
        self._answer.clear()
        return text, answer

    def _text_until_command(self, data: bytes, at: int) -> int:
        """Take text and the sequence after it; return where they end."""
        start = data.find(b"\xff", at)
        if start < 0:
            self._text += data[at:]
            return len(data)
        self._text += data[at:start]
        if match := _SEQUENCE.match(data, start):
            self._carry_out(match)
            return match.end()
        if _UNFINISHED.match(data, start):
            self._held = data[start:]
            return len(data)
        self._text += b"\xff"
        return start + 1

    def _carry_out(self, match: re.Match[bytes]) -> None:
        verb, option, command = match["verb"], match["option"], match["command"]
        self.seen = self.seen or command != b"\xff"
        if verb:
            if refusal := _REFUSALS.get(verb[0]):
                self._answer += bytes((IAC, refusal, option[0]))
        elif command:
            self._text += _TEXT.get(command[0], b"")
            if command[0] == ARE_YOU_THERE:
                self._answer += ARE_YOU_THERE_ANSWER
        else:
            self._skipped = 0

    def _skip_subnegotiation(self, data: bytes, at: int) -> int:
        """Skip what belongs to a subnegotiation; return where that ends."""
        body = _SUBNEGOTIATION_BODY.match(data, at)
        assert body is not None and self._skipped is not None  # the pattern also matches the empty string
        self._skipped += body.end() - at
        if self._skipped > SUBNEGOTIATION_LIMIT:
            raise ProtocolViolation("A telnet subnegotiation that does not end.")
        if data.startswith(_SUBNEGOTIATION_END, body.end()):
            self._skipped = None
            return body.end() + len(_SUBNEGOTIATION_END)
        self._held = data[body.end():]
        return len(data)
