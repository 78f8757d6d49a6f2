"""Listening sockets on all the addresses that a host stands for, of both families.

A socket never serves both: then peers with an IPv4 address would appear with an IPv6 one (RFC 4291, section 2.5.5.2).
"""

import errno
import os
import socket
from collections.abc import Iterable

from tornado.netutil import bind_sockets

LISTEN_BACKLOG = 4096
"""Connections that the kernel holds for a socket until the server accepts them."""

ADDRESSES = {"": ("0.0.0.0", "::"), "::": ("::", "0.0.0.0"), "localhost": ("127.0.0.1", "::1")}
"""Hosts that are several addresses. The first is needed; the others are used where the machine has their family."""

NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors of one of these addresses that mean: this machine has no IPv6, or no IPv4."""

FREE_PORT_TRIES = 20
"""Ports that are tried when any free one will do, until one is free on all addresses."""


def bind(port: int, host: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind a port on all addresses of a host: an address, a name, or nothing for every address. 0 is any free port.

    With `reuse_port`, other processes may bind the same port. Raises OSError; no socket is left open then.
    """
    first, *others = ADDRESSES.get(host.lower(), (host,))
    tries = 1 if port else FREE_PORT_TRIES
    while True:
        sockets = _bind(port, first, reuse_port)
        try:
            for address in others:
                sockets += _bind_if_there(sockets[0].getsockname()[1], address, reuse_port)
            return sockets
        except OSError as error:
            close(sockets)
            tries -= 1
            if error.errno != errno.EADDRINUSE or not tries:
                raise


def _bind(port: int, address: str, reuse_port: bool) -> list[socket.socket]:
    """Bind a port on all that a host name resolves to, or on one address; never on both families with one socket."""
    sockets = bind_sockets(port, address, reuse_port=reuse_port, backlog=LISTEN_BACKLOG)
    if not sockets:  # Tornado leaves out the families that the machine does not have
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return sockets


def _bind_if_there(port: int, address: str, reuse_port: bool) -> list[socket.socket]:
    try:
        return _bind(port, address, reuse_port)
    except OSError as error:
        if error.errno in NO_SUCH_FAMILY:
            return []
        raise


def close(sockets: Iterable[socket.socket]) -> None:
    """Close these sockets."""
    for sock in sockets:
        sock.close()
