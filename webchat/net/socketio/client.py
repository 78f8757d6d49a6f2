"""What the Socket.IO server keeps of a client: one record a connection, one socket a namespace."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from webchat.net.engineio.session import EngineSession, SendFrame, discard
from webchat.net.socketio.codec import SocketIOPacket
from webchat.net.timers import Timer


class SocketState(Enum):
    """Where a client stands in a namespace."""

    CONNECTING = "its connect handler decides"
    CONNECTED = "it sends events, and is sent some"
    DISCONNECTED = "its disconnect handler is being told, or has been"


class Client:
    """An Engine.IO session, and the namespaces that it is in."""

    __slots__ = ("deadline", "left", "partial", "session", "sockets", "timer")

    def __init__(self, session: EngineSession):
        self.session = session
        self.sockets: dict[str, Socket] = {}
        self.left: frozenset[str] = frozenset()  # namespaces that it has left: packets for them may be on their way
        self.partial: tuple[SocketIOPacket, list[bytes]] | None = None  # waits for its attachments
        self.timer: Timer | None = None
        self.deadline = float("inf")  # by which it has to be in a namespace
        session.follow = self._follow

    def _follow(self, send_frame: SendFrame) -> None:
        for socket in self.sockets.values():
            socket.redirect(send_frame)


class Socket:
    """A client in a namespace (Socket.IO's own word for it).

    `send` sends a frame that `AsyncServer.frame` has made, in order with everything else that goes to this client; it
    neither blocks nor raises. It is replaced when the client's state changes: look it up for each frame.
    """

    __slots__ = (
        "_ack_id", "_held", "_held_size", "_on_close", "callbacks", "client", "left", "limit", "namespace", "rooms",
        "send", "sid", "state",
    )

    def __init__(
        self, client: Client, namespace: str, sid: str, limit: int, on_close: Callable[["Socket", str], None]
    ):
        self.client = client
        self.namespace = namespace
        self.sid = sid
        self.limit = limit  # bytes that may be held back
        self.state = SocketState.CONNECTING
        self.left: str | None = None  # why it went away while its connect handler was deciding
        self.rooms: set[Any] = set()
        self.callbacks: dict[int, Callable[..., Any]] = {}  # for acknowledgements that the client owes, by id
        self._ack_id = 0
        self._on_close = on_close
        self._held: list[bytes] | None = []
        self._held_size = 0
        self.send: SendFrame = self._hold

    def expect_ack(self, callback: Callable[..., Any]) -> int:
        """Return an id for an event; `callback` is to be called with the client's answer."""
        self._ack_id += 1
        self.callbacks[self._ack_id] = callback
        return self._ack_id

    def close(self, reason: str) -> None:
        """Disconnect the client after what was sent before; `reason` is a sentence for its user."""
        self._on_close(self, reason)

    def connected(self) -> None:
        """The client's CONNECT has been answered: events may follow, from `release` on."""
        self.state = SocketState.CONNECTED

    def _hold(self, frame: bytes) -> None:
        """Keep a frame for `release`: no event may come before the answer to CONNECT."""
        if self._held is not None:
            self._held.append(frame)
            self._held_size += len(frame)
            if self._held_size > self.limit:
                self._held = None
                self.send = discard
                self.client.session.overflowed(f"more than {self.limit} bytes are waiting for the connect handler")

    def release(self) -> None:
        """Send what has been held back; what follows goes straight to the client."""
        if self._held is not None and self.state is SocketState.CONNECTED:
            held, self._held = b"".join(self._held), None
            self.send = self.client.session.send_frame
            if held:
                self.send(held)

    def redirect(self, send_frame: SendFrame) -> None:
        """The session's way out changes; a socket that is connected goes along."""
        if self.state is SocketState.CONNECTED:
            self.release()
            self.send = send_frame

    def disconnected(self) -> None:
        """Send nothing more."""
        self.state = SocketState.DISCONNECTED
        self.send = discard
