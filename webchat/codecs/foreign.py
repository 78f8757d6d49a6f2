"""What is plainly meant for another server: said by nobody, so heard by nobody."""

import re

_HTTP_LIKE = re.compile(rb"[A-Z]{3,10} \S+ [A-Z]{3,5}/\d(?:\.\d)?\r?\n")
_TLS_HANDSHAKE = b"\x16\x03"


def is_foreign(start: bytes | bytearray) -> bool:
    """Whether a connection's first bytes open HTTP (RFC 9112 section 3; RTSP and SIP, too) or TLS (RFC 8446, 5.1)."""
    return start.startswith(_TLS_HANDSHAKE) or _HTTP_LIKE.match(start) is not None
