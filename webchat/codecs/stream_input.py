"""What a stream of bytes may hold besides messages; `lines` and `braces` both decode to these."""

import re
from dataclasses import dataclass

_HTTP_LIKE = re.compile(rb"[A-Z]{3,10} \S+ [A-Z]{3,5}/\d(?:\.\d)?\r?\n")
_TLS_HANDSHAKE = b"\x16\x03"


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line or a message that passed the limit; what is left of it is skipped."""


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """This is no chat client: a browser, or somebody who speaks TLS."""


def is_other_protocol(start: bytes | bytearray) -> bool:
    """Whether a connection's first bytes open HTTP (RFC 9112 section 3; RTSP and SIP, too) or TLS (RFC 8446, 5.1)."""
    return start.startswith(_TLS_HANDSHAKE) or _HTTP_LIKE.match(start) is not None
