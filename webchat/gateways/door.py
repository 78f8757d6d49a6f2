"""What the server needs from each door."""

import socket
import ssl
from collections.abc import Iterable
from typing import Protocol

from webchat.net.entrance import Entrance


class Door(Protocol):
    """One way into the chat, on one port."""

    def use_tls(self, context: ssl.SSLContext | None) -> None:
        """Speak TLS with those who connect from now on; None stands for no TLS."""

    def add_sockets(self, sockets: Iterable[socket.socket], entrance: Entrance | None = None) -> None:
        """Accept on these listening sockets whom the entrance lets in; without one, everybody."""

    def stop(self) -> None:
        """Accept no more connections."""

    async def drain(self, reason: str) -> None:
        """Tell every client the reason, end all connections, and return when what was queued for them has been sent."""
