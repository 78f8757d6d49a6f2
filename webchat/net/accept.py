"""Accept connections, and pause when the process has run out of file descriptors.

Tornado's accept handler lets EMFILE escape. The listening socket stays readable, so the event loop calls the handler
again at once, which takes a whole core and logs a traceback each time. This one stops listening for a moment instead.
"""

import errno
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from tornado.ioloop import IOLoop
from tornado.tcpserver import TCPServer

log = logging.getLogger(__name__)

BATCH = 128
"""Most connections accepted in one turn of the event loop, so that a rush of them does not delay the others."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds to stop listening after the first, second, … failure in a row; the last one repeats."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of accept(2) that repeat until somebody releases descriptors or memory."""

KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that vanished without closing the connection is noticed after 60 + 3 × 10 seconds."""


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


class PatientAccept(TCPServer):
    """A TCP server that accepts through `Acceptor`.

    It is also a mixin for Tornado's `HTTPServer`, where it comes first in the list of base classes.
    """

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Replaces Tornado's, which accepts with its own handler."""
        for sock in sockets:
            self._sockets[sock.fileno()] = sock
            self._handlers[sock.fileno()] = Acceptor(sock, self._handle_connection).stop


def _set_options(listener: socket.socket) -> None:
    """Set on a listening socket what its connections inherit; on each of them it would cost six system calls.

    They send without delay, notice dead peers, and keep urgent bytes in the stream (RFC 854, telnet's Synch signal).
    """
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.SOL_SOCKET, "SO_OOBINLINE", 1),
        *((socket.IPPROTO_TCP, name, value) for name, value in KEEPALIVE),
    ]
    for level, name, value in options:
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):  # not a TCP socket
                listener.setsockopt(level, option, value)
