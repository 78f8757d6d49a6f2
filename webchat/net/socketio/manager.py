"""Which sockets are in which namespace and room, and the broadcast: encoded once, then one call a recipient."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from webchat.net.socketio.client import Socket, SocketState
from webchat.net.socketio.codec import EVENT, PacketCodec


class EmitServer(Protocol):
    """What the manager needs of its server."""

    codec: PacketCodec


class Members(dict[str, Socket]):
    """The sockets of a room by their sid.

    `listeners` is the same as a list to run along, made when it is needed and dropped when somebody joins or leaves.
    """

    __slots__ = ("listeners",)

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Socket] | None = None

    def add(self, socket: Socket) -> None:
        self[socket.sid] = socket
        self.listeners = None

    def discard(self, sid: str) -> None:
        self.pop(sid, None)
        self.listeners = None


class Namespace:
    """The sockets of one namespace, connected or about to be, and its rooms."""

    __slots__ = ("everyone", "rooms")

    def __init__(self) -> None:
        self.everyone = Members()
        self.rooms: dict[Any, Members] = {}

    def members(self, room: Any) -> Members:
        """The sockets in a room; None is everyone, a sid is that client alone."""
        if room is None:
            return self.everyone
        if room in self.rooms:
            return self.rooms[room]
        alone = Members()
        if room in self.everyone:
            alone.add(self.everyone[room])
        return alone


class Manager:
    """The `client_manager` of one process.

    It offers what python-socketio's server asks of a manager (emit, rooms, callbacks, sids), and nothing else of
    upstream's managers: their costs grow with the number of clients.
    """

    def __init__(self) -> None:
        self.namespaces: dict[str, Namespace] = {}
        self._server: EmitServer

    def set_server(self, server: EmitServer) -> None:
        """Called once, by the server."""
        self._server = server

    def initialize(self) -> None:
        """Called before the first request; nothing to prepare."""

    # The sockets.

    def add(self, socket: Socket) -> None:
        """Register a socket, before its connect handler is asked."""
        self.namespaces.setdefault(socket.namespace, Namespace()).everyone.add(socket)

    def connected(self, socket: Socket) -> None:
        """The socket may hear what is sent to everyone from now on."""
        self.namespaces[socket.namespace].everyone.listeners = None

    def remove(self, socket: Socket) -> None:
        """Forget a socket and its rooms."""
        namespace = self.namespaces[socket.namespace]
        namespace.everyone.discard(socket.sid)
        for room in list(socket.rooms):
            _leave(namespace, room, socket)
        if not namespace.everyone:
            del self.namespaces[socket.namespace]

    def find(self, sid: str, namespace: str) -> Socket | None:
        """The socket of that sid."""
        found = self.namespaces.get(namespace)
        return found.everyone.get(sid) if found else None

    # What python-socketio's server asks for.

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """The id of the Engine.IO session that a client came with."""
        socket = self.find(sid, namespace)
        return socket.client.session.sid if socket else None

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """The rooms that a client is in, the one that it has to itself first."""
        socket = self.find(sid, namespace)
        return [sid, *socket.rooms] if socket else []

    async def enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Add a client to a room. Raises ValueError if the client is not in the namespace."""
        socket = self.find(sid, namespace)
        if socket is None:
            raise ValueError("sid is not connected to requested namespace")
        if room != sid:
            self.namespaces[namespace].rooms.setdefault(room, Members()).add(socket)
            socket.rooms.add(room)

    async def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Remove a client from a room; the last one closes it."""
        if socket := self.find(sid, namespace):
            _leave(self.namespaces[namespace], room, socket)

    async def close_room(self, room: Any, namespace: str) -> None:
        """Remove all clients from a room."""
        if namespace in self.namespaces:
            for socket in self.namespaces[namespace].rooms.pop(room, {}).values():
                socket.rooms.discard(room)

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Callable[..., Any] | None = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send an event to a room, a client, several of them, or everyone; returns without having suspended."""
        found = self.namespaces.get(namespace)
        if found is None:
            return
        arguments = data if isinstance(data, tuple) else () if data is None else (data,)
        skipped = set(skip_sid) if isinstance(skip_sid, list) else {skip_sid}
        listeners = _listeners(found, to or room)
        if callback is not None:
            for socket in [socket for socket in listeners if socket.sid not in skipped]:
                id = socket.expect_ack(callback)
                socket.send(self._server.codec.encode(EVENT, namespace, [event, *arguments], id))
            return
        frame = self._server.codec.encode(EVENT, namespace, [event, *arguments])
        if skipped == {None}:
            for socket in listeners:
                socket.send(frame)
        else:
            for socket in listeners:
                if socket.sid not in skipped:
                    socket.send(frame)


def _leave(namespace: Namespace, room: Any, socket: Socket) -> None:
    if members := namespace.rooms.get(room):
        members.discard(socket.sid)
        socket.rooms.discard(room)
        if not members:
            del namespace.rooms[room]


def _listeners(namespace: Namespace, room: Any) -> Iterable[Socket]:
    """The recipients. A client that is still connecting hears what is sent to it, not what is sent to everyone."""
    if isinstance(room, (list, tuple, set)):
        return {sid: socket for name in room for sid, socket in namespace.members(name).items()}.values()
    members = namespace.members(room)
    if members.listeners is None:
        members.listeners = [socket for socket in members.values()
                             if room is not None or socket.state is SocketState.CONNECTED]
    return members.listeners
