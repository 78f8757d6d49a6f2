"""Accept connections, and pause when the process has run out of file descriptors.

Tornado's accept handler lets EMFILE escape. The listening socket stays readable, so the event loop calls the handler
again at once, which takes a whole core and logs a traceback each time. This one stops listening for a moment instead.

`PatientAccept` is what lies between accept(2) and the first byte that a protocol sees: the limit of an address, a
trusted proxy's PROXY header, and whether TLS is spoken where it is expected.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

from tornado.ioloop import IOLoop
from tornado.iostream import BaseIOStream, IOStream, SSLIOStream
from tornado.netutil import ssl_wrap_socket
from tornado.tcpserver import TCPServer

from webchat.net.addresses import TOO_MANY, Place
from webchat.net.entrance import Entrance
from webchat.net.errors import ProtocolViolation
from webchat.net.first_bytes import begins_with_tls, say_goodbye, take_proxy_header

log = logging.getLogger(__name__)

BATCH = 128
"""Most connections accepted in one turn of the event loop, so that a rush of them does not delay the others."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds to stop listening after the first, second, … failure in a row; the last one repeats."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of accept(2) that repeat until somebody releases descriptors or memory."""

KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that vanished without closing the connection is noticed after 60 + 3 × 10 seconds."""

MAX_UNSENT = 128 * 1024
"""Bytes of which the network has not yet taken any, after which a socket takes no more. Otherwise it takes 4 MB at once
and then nothing for a while, in which somebody who reads slowly looks like somebody who does not read."""

MAX_REFUSALS = 100
"""Connections at once that are told why they are refused; during a flood of them, the others are just closed."""


class Acceptor:
    """Accepts on one listening socket and passes each connection to `callback(connection, address)`.

    `pauses` are in seconds; `loop` is the current event loop unless given.
    """

    def __init__(self, sock: socket.socket, callback: Callable[[socket.socket, Any], None],
                 pauses: tuple[float, ...] = PAUSES, loop: IOLoop | None = None):
        self._sock = sock
        self._callback = callback
        self._pauses = pauses
        self._failures = 0
        self._loop = loop or IOLoop.current()
        self._resumption: object = None  # the timer that ends a pause
        self._stopped = False
        _set_options(sock)
        self._listen()

    def stop(self) -> None:
        """Stop accepting; the socket stays open."""
        self._stopped = True
        if self._resumption is None:
            self._loop.remove_handler(self._sock)
        else:
            self._loop.remove_timeout(self._resumption)
            self._resumption = None

    def _listen(self) -> None:
        self._resumption = None
        self._loop.add_handler(self._sock, self._accept, IOLoop.READ)

    def _accept(self, fd: socket.socket, events: int) -> None:
        for _ in range(BATCH):
            if self._stopped:
                return
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._pause(error)
                    return
                continue  # this connection was lost before it was accepted (accept(2), "Error handling")
            self._failures = 0
            self._callback(connection, address)

    def _pause(self, error: OSError) -> None:
        pause = self._pauses[min(self._failures, len(self._pauses) - 1)]
        self._failures += 1
        log.warning("Accepting no connections for %g s: %s", pause, error.strerror)
        self._loop.remove_handler(self._sock)
        self._resumption = self._loop.call_later(pause, self._listen)


class _Counted(BaseIOStream):
    """A stream that gives back the place of its address when it closes, and leaves nothing to the garbage collector."""

    place: Place
    looked_at = 0.0
    """Seconds that passed before it became a stream, while its first bytes were looked at."""

    def close_fd(self) -> None:
        """Called once, by whatever closes the stream."""
        super().close_fd()
        self.place.release()
        if self.error is not None:
            self.error.__traceback__ = None  # its frames lead back to this stream


class CountedStream(_Counted, IOStream):
    """A connection without TLS."""


class CountedTLSStream(_Counted, SSLIOStream):
    """A connection with TLS. Its end is announced with close_notify: what ends without it may have been cut short."""

    def close_fd(self) -> None:
        """Called once, by whatever closes the stream."""
        with suppress(OSError, ValueError):  # the peer is gone, or has never finished the handshake
            self.socket.unwrap()
        super().close_fd()


Stream = CountedStream | CountedTLSStream


class PatientAccept(TCPServer):
    """A TCP server that accepts through `Acceptor`, and looks at who comes before its protocol does.

    It is also a mixin for Tornado's `HTTPServer`, where it comes first in the list of base classes.
    """

    entrance = Entrance()
    stream: type[CountedStream] = CountedStream
    """The class of connections without TLS."""

    tls_stream: type[CountedTLSStream] = CountedTLSStream
    """The class of connections with TLS."""

    def use_tls(self, context: ssl.SSLContext | None) -> None:
        """Speak TLS with those who connect from now on, with this context; None stands for no TLS."""
        self.ssl_options = context

    def add_sockets(self, sockets: Iterable[socket.socket], entrance: Entrance | None = None) -> None:
        """Accept those whom the entrance lets in. Replaces Tornado's, which accepts everybody with its own handler."""
        if entrance is not None:
            self.entrance = entrance
        for sock in sockets:
            self._sockets[sock.fileno()] = sock
            self._handlers[sock.fileno()] = Acceptor(sock, self._arrived).stop

    def stop(self) -> None:
        """Accept no more connections, and drop those that the protocol has not seen yet."""
        super().stop()
        for task in self._arrivals:
            task.cancel()

    # What a protocol tells those who do not get in.

    def refusal(self, sentence: str) -> bytes:
        """A sentence, as this protocol tells it to somebody whose first byte it has not seen."""
        return f"{sentence}\n".encode()

    async def answer_without_tls(self, connection: socket.socket) -> bytes:
        """The answer to somebody who does not begin with TLS where it is expected. Raises OSError."""
        return self.refusal("This port expects TLS.")

    # The way in.

    @cached_property
    def _arrivals(self) -> set[asyncio.Task[Any]]:
        return set()

    def _arrived(self, connection: socket.socket, address: Any) -> None:
        peer = address[0]
        place = self.entrance.connections.take(peer)
        if place is None:
            self._turn_away(connection)
        elif self.ssl_options is None and not self.entrance.proxies.trusts(peer):
            self._let_in(connection, address, place)
        else:
            looking = self._look_at(connection, address, place)
            self._run(looking, connection, partial(self._looked_at, connection, place, self.entrance.clock()))

    def _turn_away(self, connection: socket.socket) -> None:
        if len(self._arrivals) < MAX_REFUSALS:
            goodbye = say_goodbye(connection, self._too_many(), self.entrance.times)
            self._run(goodbye, connection, lambda _: connection.close())
        else:
            connection.close()

    def _too_many(self) -> bytes:
        return b"" if self.ssl_options else self.refusal(TOO_MANY)  # who expects TLS could not read it

    async def _look_at(self, connection: socket.socket, address: Any, place: Place) -> Any:
        """Look at a connection's first bytes. Returns the client's address if it may come in, otherwise None."""
        times = self.entrance.times
        try:
            if self.entrance.proxies.trusts(address[0]):
                address = await take_proxy_header(connection, times) or address
            if not place.move(address[0]):
                words = self._too_many()
            elif self.ssl_options is None or await begins_with_tls(connection, times):
                return address
            else:
                words = await self.answer_without_tls(connection)
            await say_goodbye(connection, words, times)
        except ProtocolViolation as violation:
            log.info("A connection from %s is closed: %s", address[0], violation)
        except OSError:
            pass  # the peer is gone, as port scanners and health checks are: nothing to tell
        return None

    def _looked_at(self, connection: socket.socket, place: Place, since: float, looking: asyncio.Task[Any]) -> None:
        address = None
        try:
            if not looking.cancelled():
                address = looking.result()
        finally:
            if address is None:
                connection.close()
                place.release()
        if address is not None:
            self._let_in(connection, address, place, self.entrance.clock() - since)

    def _let_in(self, connection: socket.socket, address: Any, place: Place, looked_at: float = 0.0) -> None:
        """Hand a connection to the protocol. Replaces the end of Tornado's way, whose streams do not count."""
        options = {"max_buffer_size": self.max_buffer_size, "read_chunk_size": self.read_chunk_size}
        try:
            if self.ssl_options is None:
                stream: Stream = self.stream(connection, **options)
            else:
                connection = ssl_wrap_socket(connection, self.ssl_options, server_side=True,
                                             do_handshake_on_connect=False)
                stream = self.tls_stream(connection, **options)
        except OSError:  # the peer is gone already
            connection.close()
            place.release()
            return
        stream.place, stream.looked_at = place, looked_at
        try:
            serving = self.handle_stream(stream, address)
        except Exception:
            log.exception("A connection is dropped after an error")
            stream.close()
        else:
            if serving is not None:
                asyncio.ensure_future(serving).add_done_callback(partial(_served, stream))

    def _run(self, arrival: Coroutine[Any, Any, Any], connection: socket.socket,
             then: Callable[[asyncio.Task[Any]], None]) -> None:
        """Run what a connection passes before it is let in or refused; `then` is called even if it never begins."""
        connection.setblocking(False)  # a stream does that itself, and we are before it
        task = asyncio.get_running_loop().create_task(arrival)
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)
        task.add_done_callback(then)


def _served(stream: BaseIOStream, serving: asyncio.Future[None]) -> None:
    """The protocol is done with a connection; if an error is why, nobody else closes it."""
    if not serving.cancelled() and (error := serving.exception()):
        log.error("A connection is dropped after an error", exc_info=error)
        stream.close()


def _set_options(listener: socket.socket) -> None:
    """Set on a listening socket what its connections inherit; on each of them it would cost six system calls.

    They send without delay, hold little, notice dead peers, and keep urgent bytes in the stream (RFC 854, telnet's
    Synch signal).
    """
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.SOL_SOCKET, "SO_OOBINLINE", 1),
        (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", MAX_UNSENT),
        *((socket.IPPROTO_TCP, name, value) for name, value in KEEPALIVE),
    ]
    for level, name, value in options:
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):  # not a TCP socket
                listener.setsockopt(level, option, value)
