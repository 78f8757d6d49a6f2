"""What the Socket.IO server keeps of a client: one record a connection, one outlet a namespace."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webchat.net.engineio.session import Socket
from webchat.net.socketio.codec import Packet

if TYPE_CHECKING:
    from webchat.net.socketio import AsyncServer

CONNECTING, CONFIRMED, PARTING = range(3)
"""The states of a client in a namespace: its handler decides; it may send and is sent to; its handler is being told."""


class Client:
    """An Engine.IO session, and the namespaces that it is in."""

    __slots__ = ("deadline", "eio_sid", "outlets", "partial", "parted", "socket", "timer")

    def __init__(self, eio_sid: str, socket: Socket):
        self.eio_sid = eio_sid
        self.socket = socket
        self.outlets: dict[str, Outlet] = {}
        self.parted: frozenset[str] = frozenset()  # namespaces that it was in: packets for them may be under way
        self.partial: tuple[Packet, list[bytes]] | None = None  # waits for its attachments
        self.timer: asyncio.TimerHandle | None = None
        self.deadline = float("inf")  # by which it has to be in a namespace


class Outlet:
    """The way to one client in one namespace.

    `send(frame)` sends a frame that `AsyncServer.frame` has made, in order with all else that goes to this client; it
    neither blocks nor raises. It changes with the state of the client: look it up for each frame, do not keep it.
    """

    __slots__ = ("_server", "client", "early", "left", "namespace", "send", "sid", "state")

    def __init__(self, server: "AsyncServer", client: Client, namespace: str, sid: str):
        self._server = server
        self.client = client
        self.namespace = namespace
        self.sid = sid
        self.state = CONNECTING
        self.send: Callable[[bytes], None]
        self.early = Early(server.eio.max_queue)
        self.lead_to(self.early)
        self.left: str | None = None  # why it went away before its connection was confirmed

    def lead_to(self, sink: Any) -> None:
        """From now on frames are `put` there; a session's way may change, and this follows it."""
        socket = self.client.socket
        others = tuple(each for each in socket.followers if each is not self)
        socket.followers = (*others, self) if sink is socket else others
        self.send = sink.put

    def close(self, reason: str) -> None:
        """Disconnect the client after what was sent before; `reason` is a sentence for its user."""
        self._server.dismiss(self, reason)


class Early:
    """Holds what is sent to a client while its connection is not confirmed: no event may come before CONNECT."""

    __slots__ = ("_frames", "_room")

    def __init__(self, limit: int):
        self._frames: list[bytes] = []
        self._room = limit

    def put(self, frame: bytes) -> None:
        self._room -= len(frame)
        if self._room >= 0:
            self._frames.append(frame)

    def take(self) -> bytes:
        """All of them; they are not kept."""
        frames, self._frames = b"".join(self._frames), []
        return frames


class Nowhere:
    """Where frames for a client go that has left."""

    @staticmethod
    def put(frame: bytes) -> None:
        """Drop it."""
