"""The PROXY protocol, versions 1 and 2: a proxy's first bytes, which tell whose connection it forwards. No I/O.

Specification: HAProxy's `doc/proxy-protocol.txt`.
"""

import re
import struct
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address

from webchat.net.errors import ProtocolViolation

Endpoint = tuple[str, int]
"""An IP address and a port."""

V1_START = b"PROXY "
V1_LIMIT = 107
"""Most bytes of a header of version 1, its CRLF included (section 2.1)."""

V2_START = b"\r\n\r\n\0\r\nQUIT\n"
V2_FIXED = struct.Struct("!12sBBH")
"""Signature; version and command; family and transport; bytes of what follows (section 2.2)."""

V2_LIMIT = 4096
"""Most bytes of a header of version 2 that are read. The addresses take at most 216; the rest are extensions, such as
the name in a certificate."""

LOCAL, PROXY = 0, 1
INET, INET6, UNIX = 1, 2, 3
STREAM, DGRAM = 1, 2

V2_ADDRESSES = {INET: struct.Struct("!4s4sHH"), INET6: struct.Struct("!16s16sHH"), UNIX: struct.Struct("!108s108s")}
"""The addresses of each family: source, destination, and their ports."""

_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class Verdict(Enum):
    """What the first bytes of a connection are, if they are no complete header."""

    NONE = auto()
    """No header."""

    POSSIBLE = auto()
    """Too few to tell."""

    INCOMPLETE = auto()
    """The beginning of a header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A complete header of `size` bytes. `source` is the client; None if the proxy does not tell or has no client."""

    size: int
    source: Endpoint | None


def parse_header(data: bytes) -> ProxyHeader | Verdict:
    """Read the first bytes of a connection; what follows a header does not matter. Raises ProtocolViolation."""
    for start, parse in ((V1_START, _version_1), (V2_START, _version_2)):
        if data.startswith(start):
            return parse(data)
        if start.startswith(data):
            return Verdict.POSSIBLE
    return Verdict.NONE


def _version_1(data: bytes) -> ProxyHeader | Verdict:
    line, newline, _ = data[:V1_LIMIT].partition(b"\n")
    if not newline and len(data) < V1_LIMIT:
        return Verdict.INCOMPLETE
    if not newline or not line.endswith(b"\r"):
        raise ProtocolViolation("a PROXY line without its CRLF")
    return ProxyHeader(len(line + newline), _client(line[:-1].split(b" ")[1:]))


def _client(words: list[bytes]) -> Endpoint | None:
    """The source in the words of a line after PROXY."""
    match words:
        case [b"UNKNOWN", *_]:
            return None
        case [b"TCP4", source, destination, source_port, destination_port]:
            family: type[IPv4Address] | type[IPv6Address] = IPv4Address
        case [b"TCP6", source, destination, source_port, destination_port]:
            family = IPv6Address
        case _:
            raise ProtocolViolation("a PROXY line of another shape")
    _port(destination_port)
    _ip(family, destination)
    return _ip(family, source), _port(source_port)


def _ip(family: type[IPv4Address] | type[IPv6Address], word: bytes) -> str:
    try:
        if b"%" in word:  # a scope, which Python accepts and the protocol does not have
            raise ValueError
        return str(family(word.decode("ascii")))
    except ValueError:
        raise ProtocolViolation("a PROXY line with a bad address") from None


def _port(word: bytes) -> int:
    if not _PORT.fullmatch(word) or int(word) > 65535:
        raise ProtocolViolation("a PROXY line with a bad port")
    return int(word)


def _version_2(data: bytes) -> ProxyHeader | Verdict:
    if len(data) < V2_FIXED.size:
        return Verdict.INCOMPLETE
    _, version_command, family_transport, length = V2_FIXED.unpack_from(data)
    version, command = divmod(version_command, 16)
    family, transport = divmod(family_transport, 16)
    size = V2_FIXED.size + length
    if version != 2 or command not in (LOCAL, PROXY):
        raise ProtocolViolation("a PROXY header of an unknown version or command")
    if size > V2_LIMIT:
        raise ProtocolViolation("a PROXY header that is too long")
    if command == PROXY and (family > UNIX or transport > DGRAM):
        raise ProtocolViolation("a PROXY header of an unknown family or transport")
    has_addresses = command == PROXY and family and transport
    if has_addresses and length < V2_ADDRESSES[family].size:
        raise ProtocolViolation("a PROXY header that is too short for its addresses")
    if len(data) < size:
        return Verdict.INCOMPLETE
    return ProxyHeader(size, _source(data, family) if has_addresses and transport == STREAM else None)


def _source(data: bytes, family: int) -> Endpoint | None:
    if family == UNIX:
        return None
    source, _, port, _ = V2_ADDRESSES[family].unpack_from(data, V2_FIXED.size)
    return str(IPv4Address(source) if family == INET else IPv6Address(source)), port
