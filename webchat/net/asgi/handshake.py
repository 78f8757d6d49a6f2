"""The opening handshake of a WebSocket, the server's side (RFC 6455 section 4.2)."""

import binascii
import hashlib
import re

from tornado.httputil import HTTPHeaders, RequestStartLine

from webchat.net.asgi.types import Message

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

# A word in a header whose value is a list (RFC 9110 section 5.6.1).
LIST_ITEM = r"(?:^|,)[ \t]*{}[ \t]*(?:,|$)"
WEBSOCKET, UPGRADE = (re.compile(LIST_ITEM.format(word), re.IGNORECASE) for word in ("websocket", "upgrade"))


def is_handshake(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether a request asks for a WebSocket, correctly or not."""
    return (
        start_line.method == "GET"
        and "Upgrade" in headers
        and WEBSOCKET.search(headers["Upgrade"]) is not None
        and UPGRADE.search(headers.get("Connection", "")) is not None
    )


def refusal(version: str | None, key: str) -> tuple[int, *tuple[tuple[bytes, bytes], ...]] | None:
    """The status and headers with which a malformed handshake is answered (RFC 6455 sections 4.2.1 and 4.4)."""
    if version != "13":
        return 426, (b"sec-websocket-version", b"13")
    try:
        nonce = binascii.a2b_base64(key, strict_mode=True)
    except ValueError:  # binascii.Error is one, too
        nonce = b""
    return None if len(nonce) == 16 else (400,)


def switching_protocols(key: str, event: Message) -> bytes:
    """The answer that accepts a handshake. Raises ValueError if a header contains a line break or NUL."""
    digest = hashlib.sha1(key.encode() + GUID).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + binascii.b2a_base64(digest, newline=False),
    ]
    if event.get("subprotocol"):
        lines.append(b"Sec-WebSocket-Protocol: " + event["subprotocol"].encode("latin-1"))
    if event.get("headers"):
        lines += [name + b": " + value for name, value in event["headers"]]
    head = b"\r\n".join([*lines, b"", b""])
    if head.count(b"\r") != len(lines) + 1 or head.count(b"\n") != len(lines) + 1 or b"\0" in head:
        raise ValueError("a header contains a line break or NUL")
    return head
