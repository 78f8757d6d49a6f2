"""The first words of clients that speak another protocol. They are answered in its manner, and taken for nobody's name.

A scanner, a health check, or a chat client with the wrong port speaks first, and its first line may be a possible
name: `PASS secret`, `EHLO laptop`. What people call themselves (`Nick Cave`, `Help`) is left alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from webchat.net.proxy_protocol import V2_START
from webchat.net.tls_records import HANDSHAKE, NO_TLS_HERE

FIRST_LINE_LIMIT = 16 * 1024
"""Bytes of a first line after which it is not looked at any more; a request of a browser has at most some 8,000."""

SSH_BY_APPLICATION = 11
"""A reason for disconnecting (RFC 4253 section 11.1)."""


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """The peer speaks another protocol, so it is no chat client.

    `answer(sentence)` returns the bytes that tell it what this port is for, a sentence in plain ASCII.
    """

    name: str
    answer: Callable[[str], bytes]


def _http(sentence: str) -> bytes:
    head = ("HTTP/1.1 400 Bad Request", "Content-Type: text/plain", f"Content-Length: {len(sentence) + 1}",
            "Connection: close", "", "")
    return ("\r\n".join(head) + f"{sentence}\n").encode()


def _irc(sentence: str) -> bytes:
    return f"ERROR :{sentence}\r\n".encode()


def _smtp(sentence: str) -> bytes:
    return f"554 {sentence}\r\n".encode()


def _ftp(sentence: str) -> bytes:
    return f"530 {sentence}\r\n".encode()


def _stomp(sentence: str) -> bytes:
    return f"ERROR\nmessage:{sentence}\n\n\0".encode()


def _redis(sentence: str) -> bytes:
    return f"-ERR {sentence}\r\n".encode()


def _ssh(sentence: str) -> bytes:
    """The server's version, and SSH_MSG_DISCONNECT in a packet without encryption (RFC 4253 sections 4.2, 6, 11.1)."""
    text = sentence.encode()
    payload = b"\x01" + SSH_BY_APPLICATION.to_bytes(4) + len(text).to_bytes(4) + text + bytes(4)
    padding = 4 + -(5 + len(payload) + 4) % 8
    return (b"SSH-2.0-webchat\r\n" + (1 + len(payload) + padding).to_bytes(4) + bytes([padding]) + payload
            + bytes(padding))


def _tls(sentence: str) -> bytes:
    return NO_TLS_HERE


def _nothing(sentence: str) -> bytes:
    return b""


_FIRST_LINES = [(OtherProtocol(name, answer), re.compile(pattern)) for name, answer, pattern in (
    # RFC 9112 section 3, and how the Web began, without a version; below it, RTSP and SIP, and answers.
    ("HTTP", _http, rb"[A-Z]{3,10} \S.* HTTP/\d(\.\d)?|GET /\S*"),
    ("a relative of HTTP", _nothing, rb"[A-Z]{3,10} \S+ [A-Z]{3,5}/\d(\.\d)?|[A-Z]{3,5}/\d\.\d \d{3}( .*)?"),
    # RFC 2812 section 3.1, IRCv3's capability negotiation, and WEBIRC. One word after NICK: people have two names.
    ("IRC", _irc, rb"CAP (LS|LIST|REQ|END)( .*)?|PASS \S.*|NICK :?\S+|USER \S+ \S+ \S+ .+|WEBIRC \S+ .+"
                  rb"|AUTHENTICATE \S+"),
    # RFC 959 section 4.1.1, and POP3. The password would follow, and be said to everybody.
    ("FTP", _ftp, rb"USER \S+"),
    # STOMP 1.2: the password would follow here, too.
    ("STOMP", _stomp, rb"CONNECT|STOMP"),
    ("SSH", _ssh, rb"SSH-\d\.\d+-.*"),
    ("SMTP", _smtp, rb"(?:(?i:EHLO|LHLO)|HELO) \S+"),
    ("Redis", _redis, rb"\*[1-9]\d{0,6}|AUTH \S+( \S+)?"),
    ("PROXY", _nothing, rb"PROXY (TCP[46] .*|UNKNOWN.*)"),
)]
_TLS = OtherProtocol("TLS", _tls)
_PROXY = _FIRST_LINES[-1][0]


class Greeting:
    """Looks at a connection's first line that is not blank, each byte once, however it is cut into segments."""

    __slots__ = ("_is_over", "_line")

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_over = False

    def receive(self, data: bytes) -> OtherProtocol | None:
        """Take one segment; return once what the peer speaks, as soon as that is known not to be chat."""
        if self._is_over:
            return None
        self._line += data
        if self._line.startswith(HANDSHAKE + b"\x03"):
            return self._end(_TLS)
        if self._line.startswith(V2_START):  # a trusted proxy's never comes here
            return self._end(_PROXY)
        if V2_START.startswith(self._line):
            return None
        if self._line[:1].isspace():
            self._line = self._line.lstrip()
            data = bytes(self._line)
        if b"\n" in data or b"\r" in data or len(self._line) > FIRST_LINE_LIMIT:
            return self.end()
        return None

    def end(self) -> OtherProtocol | None:
        """Take note that the first line is complete; return what the peer speaks, if that is not chat."""
        line = re.split(rb"[\r\n]", self._line.lstrip(), maxsplit=1)[0]
        return self._end(next((each for each, pattern in _FIRST_LINES if pattern.fullmatch(line)), None))

    def _end(self, found: OtherProtocol | None) -> OtherProtocol | None:
        self._is_over = True
        self._line.clear()
        return found
