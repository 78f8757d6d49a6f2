"""The listening sockets of the doors, and the certificate for HTTPS."""

import errno
import socket
import ssl

from tornado.netutil import bind_sockets

from webchat.config import Config

LISTEN_BACKLOG = 4096
"""Connections that the kernel holds for a socket until the server accepts them."""

DOORS = {
    "http": ("port", "--port"),
    "lines": ("lines_port", "--lines-port"),
    "braces": ("braces_port", "--braces-port"),
}
"""Each door's setting and flag, in the order in which the doors are announced."""


class CannotStart(Exception):
    """The server cannot start; the text is one sentence for the operator."""


def bind(config: Config, *, reuse_port: bool) -> dict[str, list[socket.socket]]:
    """Bind all listening sockets, by door. Raises CannotStart; no socket is left open then.

    A door whose port is 0 is left out, except for "http", which gets any free port. A host name can have several
    addresses, so a door can have several sockets. With `reuse_port`, other processes may bind the same ports.
    """
    bound: dict[str, list[socket.socket]] = {}
    for door, (setting, flag) in DOORS.items():
        port = getattr(config, setting)
        if not port and door != "http":
            continue
        try:
            bound[door] = bind_sockets(port, config.host, reuse_port=reuse_port, backlog=LISTEN_BACKLOG)
        except OSError as error:
            for sock in (sock for sockets in bound.values() for sock in sockets):
                sock.close()
            raise CannotStart(_reason(port, config.host, flag, error)) from error
    return bound


def _reason(port: int, host: str, flag: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use already; choose another with {flag}."
    return f"Port {port} on {host} cannot be opened: {error.strerror or error}."


def describe(door: str, sock: socket.socket, *, tls: bool) -> str:
    """Return the line that announces an open door, with its address."""
    host, port, *_ = sock.getsockname()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {
        "http": f"Browser   http{'s' if tls else ''}://{address}/chat/index.html",
        "lines": f"Lines     tcp://{address}",
        "braces": f"Braces    tcp://{address}",
    }[door]


def tls_context(config: Config) -> ssl.SSLContext | None:
    """Load the certificate; None if HTTPS is not configured. Raises CannotStart."""
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"The certificate {config.tls_cert} cannot be used: {error}.") from error
    return context
