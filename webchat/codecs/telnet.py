"""Telnet negotiation (RFC 854, RFC 855): answered and stripped, so that what is left is text.

No option is ever agreed to. The refusals still matter: after Ctrl-C a telnet client sends DO TIMING-MARK and throws
away everything that it receives until that is answered (RFC 860).
"""

import re

from webchat.net.errors import ProtocolViolation

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ERASE_CHARACTER, ERASE_LINE, ARE_YOU_THERE = 247, 248, 246
TIMING_MARK = 6

SUBNEGOTIATION_LIMIT = 4096
"""Bytes that one subnegotiation may take; the longest in use are environment lists of some hundred bytes."""

BACKSPACE, KILL = b"\b", b"\x15"
"""What the erase commands become in the text: the control characters with the same meaning."""

HERE = b"-!- Yes, the chat is here.\r\n"

_SEQUENCE = re.compile(
    rb"\xff(?:(?P<verb>[\xfb-\xfe])(?P<option>.)|\xfa(?:[^\xff]|\xff[^\xf0])*\xff\xf0|(?P<command>[\xec-\xf9\xff]))",
    re.DOTALL,
)
_UNFINISHED = re.compile(rb"\xff(?:\Z|[\xfb-\xfe]\Z|\xfa)", re.DOTALL)
_REFUSAL = {DO: WONT, WILL: DONT}
_TEXT = {IAC: b"\xff", ERASE_CHARACTER: BACKSPACE, ERASE_LINE: KILL}


class Telnet:
    """The negotiation of one connection. `seen` becomes true with the first telnet command."""

    __slots__ = ("_held", "seen")

    def __init__(self) -> None:
        self._held = b""
        self.seen = False

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes off the wire; return the text in them, and what the peer must be answered.

        Sequences may be split anywhere. A 0xFF that starts no telnet command stays in the text.
        Raises ProtocolViolation for a subnegotiation that does not end.
        """
        if not self._held and b"\xff" not in data:
            return data, b""
        data = self._held + data
        self._held = b""
        text, answer, at = bytearray(), bytearray(), 0
        while (start := data.find(b"\xff", at)) >= 0:
            text += data[at:start]
            if match := _SEQUENCE.match(data, start):
                self._obey(match, text, answer)
                at = match.end()
            elif _UNFINISHED.match(data, start):
                self._hold(data[start:])
                return bytes(text), bytes(answer)
            else:
                text += b"\xff"
                at = start + 1
        text += data[at:]
        return bytes(text), bytes(answer)

    def _obey(self, match: re.Match[bytes], text: bytearray, answer: bytearray) -> None:
        verb, option, command = match["verb"], match["option"], match["command"]
        self.seen = self.seen or command != b"\xff"
        if verb and (refusal := _REFUSAL.get(verb[0])):
            answer += bytes((IAC, refusal, option[0]))
        elif command:
            text += _TEXT.get(command[0], b"")
            if command[0] == ARE_YOU_THERE:
                answer += HERE

    def _hold(self, rest: bytes) -> None:
        if len(rest) > SUBNEGOTIATION_LIMIT:
            raise ProtocolViolation("A telnet subnegotiation that does not end.")
        self._held = rest


def erased(text: str) -> str:
    """The text as it stood on the typist's screen: backspace, delete and kill (Ctrl-U) have done their work."""
    if not any(key in text for key in "\b\x7f\x15"):
        return text
    kept: list[str] = []
    for char in text:
        if char == "\x15":
            kept.clear()
        elif char not in "\b\x7f":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)
