"""Accepting connections without spinning when the process has run out of descriptors.

Tornado's accept handler lets EMFILE escape; the listening socket stays readable, so the loop comes back at once, and
again, at a full core and a traceback each time. This one stops listening for a moment instead.
"""

import errno
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from tornado.ioloop import IOLoop

log = logging.getLogger(__name__)

BATCH = 128
"""Connections accepted in one turn of the loop, so that a rush of them does not starve those who chat."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds not listening after the first, second … failure in a row; the last one repeats."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that vanished without a word is noticed after 60 + 3 × 10 seconds."""


class Acceptor:
    """Accepts on one listening socket and hands each connection to `callback(connection, address)`."""

    def __init__(self, sock: socket.socket, callback: Callable[[socket.socket, Any], None],
                 pauses: tuple[float, ...] = PAUSES):
        self._sock = sock
        self._callback = callback
        self._pauses = pauses
        self._failures = 0
        self._loop = IOLoop.current()
        self._resumption: Any = None
        self._stopped = False
        set_options(sock)
        self._listen()

    def stop(self) -> None:
        """Accept no more; the socket stays open."""
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
                continue  # that connection died while it waited (accept(2), "Error handling")
            self._failures = 0
            self._callback(connection, address)

    def _pause(self, error: OSError) -> None:
        pause = self._pauses[min(self._failures, len(self._pauses) - 1)]
        self._failures += 1
        log.warning("No connections accepted for %g s: %s", pause, error.strerror)
        self._loop.remove_handler(self._sock)
        self._resumption = self._loop.call_later(pause, self._listen)


class PatientAccept:
    """Mixin for `tornado.tcpserver.TCPServer` and its kind, `HTTPServer` included: they accept through `Acceptor`.

    Put it before the server in the list of base classes.
    """

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        for sock in sockets:
            self._sockets[sock.fileno()] = sock
            self._handlers[sock.fileno()] = Acceptor(sock, self._handle_connection).stop


def set_options(listener: socket.socket) -> None:
    """Send at once, notice dead peers, and keep telnet's urgent bytes in their place (RFC 854, the Synch signal).

    What is accepted inherits it; set on each connection instead, this would be six system calls for every login.
    """
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.SOL_SOCKET, "SO_OOBINLINE", 1),
        *((socket.IPPROTO_TCP, name, value) for name, value in KEEPALIVE),
    ]
    for level, name, value in options:
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):  # this is no TCP socket
                listener.setsockopt(level, option, value)
