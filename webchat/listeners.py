"""The listening sockets of the doors, and their certificate."""

import errno
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain

from webchat.config import Config
from webchat.net import listen

DOORS = {"http": "port", "lines": "lines_port", "braces": "braces_port"}
"""The setting of each door's port, in the order in which the doors are announced."""

ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of other machines, reserved for documentation (RFC 5737, RFC 3849)."""


class CannotStart(Exception):
    """The server cannot start; the text is one sentence for the operator."""


def bind(config: Config, *, reuse_port: bool) -> dict[str, list[socket.socket]]:
    """Bind all listening sockets, by door. Raises CannotStart; no socket is left open then.

    A door whose port is 0 is left out, except for "http", which gets any free port. A host can have several addresses,
    so a door can have several sockets, all on one port. With `reuse_port`, other processes may bind the same ports.
    """
    bound: dict[str, list[socket.socket]] = {}
    for door, setting in DOORS.items():
        port = getattr(config, setting)
        if not port and door != "http":
            continue
        try:
            bound[door] = listen.bind(port, config.host, reuse_port=reuse_port)
        except OSError as error:
            listen.close(chain.from_iterable(bound.values()))
            raise CannotStart(_reason(config, setting, error)) from error
    return bound


def _reason(config: Config, setting: str, error: OSError) -> str:
    place = f"Port {getattr(config, setting)} on {config.host or 'every address'}"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use already; choose another with {config.where(setting)}."
    culprit = setting if error.errno == errno.EACCES else "host"
    return f"{place} cannot be opened: {error.strerror or error}; choose another with {config.where(culprit)}."


def describe(door: str, sock: socket.socket, *, tls: bool) -> str:
    """Return the line that announces an open door, with an address that others can type."""
    host, port, *_ = sock.getsockname()
    if ip_address(host).is_unspecified:
        host = _own_address()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    scheme = "tls" if tls else "tcp"
    return {
        "http": f"Browser   http{'s' if tls else ''}://{address}/chat/index.html",
        "lines": f"Lines     {scheme}://{address}",
        "braces": f"Braces    {scheme}://{address}",
    }[door]


def _own_address() -> str:
    """Return the address with which this machine reaches others; loopback if it reaches none."""
    for family, address in ELSEWHERE.items():
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))  # chooses a route, and sends nothing
            return str(sock.getsockname()[0])
    return "127.0.0.1"


def tls_context(config: Config) -> ssl.SSLContext | None:
    """Load the certificate as its files are now; None if TLS is not configured. Raises CannotStart."""
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs a client nothing, and the server a key exchange
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # many clients end their input so, and still read our answer
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise CannotStart(f"{config.where('tls_cert')}, {config.where('tls_key')}: The certificate {config.tls_cert} "
                          f"with the key {config.tls_key} cannot be used: {error}.") from error
    return context


def _no_passphrase() -> str:
    """Stands in for OpenSSL's question at the terminal, for which a running server would stop."""
    raise ValueError("its key is encrypted, and there is nobody to ask for the passphrase")
