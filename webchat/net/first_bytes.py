"""Looks at the first bytes of a connection before its protocol does, and takes none but a PROXY header's.

All functions raise OSError if the connection is lost.
"""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass

from webchat.net.errors import ProtocolViolation
from webchat.net.proxy_protocol import V2_LIMIT, Endpoint, ProxyHeader, Verdict, parse_header
from webchat.net.tls_records import HANDSHAKE

MAX_HEAD = 16 * 1024
"""Most bytes that are read of a request that cannot be answered."""

MAX_UNREAD = 64 * 1024
"""Bytes that are thrown away at once."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long the first bytes may take, in seconds."""

    header_start: float = 1.0
    """A trusted proxy that has sent nothing by then sends no header. Its client may be waiting for our greeting."""

    header_end: float = 5.0
    """From the first byte of a header to its last."""

    handshake_start: float = 10.0
    """Until the first byte of a TLS handshake."""

    head_end: float = 2.0
    """Until the end of an HTTP request that came without TLS."""

    goodbye: float = 1.0
    """Until the peer closes its side after our last words."""


async def take_proxy_header(sock: socket.socket, times: Times) -> Endpoint | None:
    """Read a PROXY header; return the client that it names, None if it names none or there is no header.

    Raises ProtocolViolation for a bad one, and for one that is not complete in time.
    """
    found: ProxyHeader | Verdict = Verdict.POSSIBLE
    received = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(times.header_start) as time:
            while found in (Verdict.POSSIBLE, Verdict.INCOMPLETE):
                data = await _peek(sock, received, V2_LIMIT)
                if len(data) == received:
                    break  # nothing follows
                if not received:
                    time.reschedule(asyncio.get_running_loop().time() + times.header_end)
                received = len(data)
                found = parse_header(data)
    if found is Verdict.INCOMPLETE:
        raise ProtocolViolation("a PROXY header that was not complete in time")
    if isinstance(found, ProxyHeader):
        sock.recv(found.size)
        return found.source
    return None


async def begins_with_tls(sock: socket.socket, times: Times) -> bool:
    """Whether the peer begins a TLS handshake, in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(times.handshake_start):
            return await _peek(sock, 0, 1) == HANDSHAKE
    return False


async def take_head(sock: socket.socket, times: Times) -> bytes:
    """Read an HTTP request up to its empty line, or what of it comes in time."""
    head = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(times.head_end):
            while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
                if not (data := await asyncio.get_running_loop().sock_recv(sock, MAX_HEAD)):
                    break
                head += data
    return head


async def say_goodbye(sock: socket.socket, words: bytes, times: Times) -> None:
    """Send the last words, and close when the peer has closed its side, or after a moment.

    If the socket were closed while bytes of the peer are unread, TCP would reset the connection, and the peer could
    lose the last words (RFC 1122 section 4.2.2.13).
    """
    try:
        sock.send(words)
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(times.goodbye):
            while await asyncio.get_running_loop().sock_recv(sock, MAX_UNREAD):
                pass
    except (OSError, TimeoutError):
        pass
    finally:
        sock.close()


async def _peek(sock: socket.socket, more_than: int, limit: int) -> bytes:
    """Return what waits to be read, as soon as it is more than so many bytes; no more if the peer sends no more."""
    data = _waiting(sock, limit)
    if len(data) <= more_than:
        await _bytes_waiting(sock, more_than + 1)
        data = _waiting(sock, limit)
    return data


def _waiting(sock: socket.socket, limit: int) -> bytes:
    try:
        return sock.recv(limit, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


async def _bytes_waiting(sock: socket.socket, count: int) -> None:
    """Return when so many bytes wait to be read, or the peer sends no more."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    # Otherwise fewer bytes, which stay where they are, would wake us again and again.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
