"""What is different about a socket with TLS."""

import socket
import ssl
from contextlib import suppress


def end_writing(sock: socket.socket) -> None:
    """Tell the peer that nothing more follows, and leave our side open for reading. Raises OSError.

    With TLS the peer is told first by close_notify (RFC 8446 section 6.1), without which it would have to take the end
    for an attack. `SSLSocket.shutdown` sends none.
    """
    if isinstance(sock, ssl.SSLSocket):
        with suppress(ssl.SSLError):  # sent, but the peer has not closed its own side yet
            sock.unwrap()
    socket.socket.shutdown(sock, socket.SHUT_WR)
