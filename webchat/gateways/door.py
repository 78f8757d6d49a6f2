"""What the server needs from each door."""

import socket
from collections.abc import Iterable
from typing import Protocol


class Door(Protocol):
    """One way into the chat, on one port."""

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these listening sockets."""

    def stop(self) -> None:
        """Accept no more connections."""

    async def drain(self, reason: str) -> None:
        """Tell every client the reason, end all connections, and return when what was queued for them has been sent."""
