"""A Socket.IO server that keeps to the protocol, and sends at the price of a system call.

`AsyncServer` is python-socketio's, with what stands between a packet and a handler replaced; it is served by
`socketio.ASGIApp` under `webchat.net.asgi.mount`. Another chat with it:

    sio = AsyncServer(async_handlers=False)

    @sio.event
    async def message(sid, text):
        await sio.emit("message", text)             # or, without a coroutine, to recipients of your own choice:
        frame = sio.frame("message", text)          # encoded once …
        for socket in friends:                      # … for these, which sio.socket(sid) returned when they connected
            socket.send(frame)

Specification: `socket.io-protocol` v5, and the reference server where that is silent.
docs/decisions/0001-engineio-and-socketio.md says what is replaced, and why.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import socketio
import socketio.exceptions

from webchat.net import engineio
from webchat.net.engineio.session import REASON, discard
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import POLICY
from webchat.net.socketio.client import Client, Socket, SocketState
from webchat.net.socketio.codec import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    PacketCodec,
    SocketIOPacket,
    fill,
)
from webchat.net.socketio.manager import Manager

HANG_UP_TIME = 0.5
"""Seconds for which a client that was refused or disconnected may try again, or close its connection itself."""

SETTLE_TIME = 0.005
"""Seconds between the answer to CONNECT and the first event on a WebSocket: some clients listen for events only once
they have seen that answer, and would lose an event that shares its segment."""

MAX_NAMESPACES = 64
"""Namespaces that one connection may enter in its life."""

EVENTS, ACKS = frozenset({EVENT, BINARY_EVENT}), frozenset({ACK, BINARY_ACK})


class AsyncServer(socketio.AsyncServer):
    """python-socketio's server for ASGI; takes its arguments, those of our Engine.IO server, and three more.

    A client that is in no namespace `connect_timeout` seconds after its handshake is disconnected (None: never). A
    packet may have `max_attachments` binary attachments; 0 refuses them. `client_manager`, if given, is a
    `webchat.net.socketio.Manager`.
    """

    manager: Manager

    def __init__(
        self,
        client_manager: Manager | None = None,
        *args: Any,
        connect_timeout: float | None = 45.0,
        max_attachments: int = 10,
        **kwargs: Any,
    ):
        # Adds our records of the clients; replaces the default manager.
        super().__init__(client_manager or Manager(), *args, **kwargs)
        self.connect_timeout = float("inf") if connect_timeout is None else connect_timeout
        self.codec = PacketCodec(self.packet_class, max_attachments)
        self.clients: dict[str, Client] = {}
        self.unacknowledged: Callable[[str, str, Any], None] | None = None
        """Called with event, sid and the handler's result if the client did not ask for an acknowledgement."""

    def _engineio_server_class(self) -> type[engineio.AsyncServer]:
        """Replaces python-engineio's server with ours."""
        return engineio.AsyncServer

    # Sending.

    def frame(self, event: str, *args: Any, namespace: str = "/") -> bytes:
        """An event, encoded once for all its recipients: WebSocket frames, which polling clients get unwrapped."""
        return self.codec.encode(EVENT, namespace, [event, *args])

    def socket(self, sid: str, namespace: str = "/") -> Socket:
        """The client of that sid, to keep for as long as it is connected. Raises KeyError."""
        if (socket := self.manager.find(sid, namespace)) is None:
            raise KeyError(sid)
        return socket

    # A connection begins and ends.

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        """Replaces upstream's, which keeps no record of the client and gives it no time limit."""
        self.environ[eio_sid] = environ
        client = self.clients[eio_sid] = Client(self.eio.sockets[eio_sid])
        self._expect_connect(client)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Replaces a walk through all namespaces, which the first failing handler ended."""
        client = self.clients.pop(eio_sid, None)
        if client is None:
            return
        if client.timer is not None:
            client.timer.cancel()
        try:
            for socket in list(client.sockets.values()):
                await self._socket_gone(socket, reason)
        finally:
            del self.environ[eio_sid]

    def _expect_connect(self, client: Client) -> None:
        """Disconnect a client that is in no namespace when the time for that is over."""
        client.deadline = self.eio.timers.time() + self.connect_timeout
        self._check_connected_by(client, client.deadline)

    def _expect_hang_up(self, client: Client) -> None:
        """The same, soon: a client that was refused or disconnected has nothing more to do here."""
        if not client.sockets and not client.session.closing:
            self._check_connected_by(client, min(client.deadline, self.eio.timers.time() + HANG_UP_TIME))

    def _check_connected_by(self, client: Client, when: float) -> None:
        if client.timer is not None:
            client.timer.cancel()
        client.timer = None if when == float("inf") else self.eio.timers.call_at(when, self._check_connected, client)

    def _check_connected(self, client: Client) -> None:
        if not client.sockets:
            self.eio.spawn(client.session.close(code=POLICY, text="not connected to a namespace"))

    # Packets.

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Replaces a lenient parser, attachments without bounds, and log lines.

        Raises ProtocolViolation, which ends the session.
        """
        client = self.clients.get(eio_sid)
        if client is None:
            return
        packet = self.codec.decode(data) if client.partial is None else _completed(client, data)
        if packet is None:
            return
        kind = packet.type
        if kind == CONNECT:
            await self._connect(client, packet.namespace, packet.data)
            return
        socket = client.sockets.get(packet.namespace)
        if socket is None or socket.state is not SocketState.CONNECTED:
            if packet.namespace not in client.left:
                raise ProtocolViolation("a packet before CONNECT")
        elif packet.attachments:
            client.partial = packet, []
        elif kind in EVENTS:
            if self.async_handlers:
                self.eio.spawn(self._logged(self._event(socket, packet)))
            else:
                await self._event(socket, packet)
        elif kind in ACKS:
            await self._acknowledged(socket, packet)
        else:
            await self._socket_gone(socket, REASON.CLIENT_DISCONNECT)
            if not client.sockets and not client.session.closing:
                self._expect_connect(client)

    async def _event(self, socket: Socket, packet: SocketIOPacket) -> None:
        event, *arguments = packet.data
        result = await self._call(event, packet.namespace, socket.sid, *arguments)
        if packet.id is None:
            if self.unacknowledged is not None:
                self.unacknowledged(event, socket.sid, result)
        elif result is not self.not_handled:
            values = [] if result is None else list(result) if isinstance(result, tuple) else [result]
            socket.send(self.codec.encode(ACK, packet.namespace, values, packet.id))

    async def _acknowledged(self, socket: Socket, packet: SocketIOPacket) -> None:
        """Run the callback that waits for this answer; without one the answer is ignored."""
        if packet.id is not None and (callback := socket.callbacks.pop(packet.id, None)) is not None:
            result = callback(*packet.data)
            if hasattr(result, "__await__"):
                await result

    async def _call(self, event: str, namespace: str, *arguments: Any) -> Any:
        """Call the handler of an event; `self.not_handled` if there is none."""
        handler = self.handlers.get(namespace, {}).get(event)
        if handler is None:
            return await self._trigger_event(event, namespace, *arguments)  # knows catch-all handlers and classes
        result = handler(*arguments)
        return await result if hasattr(result, "__await__") else result

    async def _logged(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            await call
        except Exception:
            self.logger.exception("event handler error")

    # A namespace: connect.

    async def _connect(self, client: Client, namespace: str, auth: dict[str, Any] | None) -> None:
        if namespace in client.sockets or len(client.sockets) + len(client.left) >= MAX_NAMESPACES:
            raise ProtocolViolation("connected already")
        if not self._serves(namespace):
            self._refuse(client, namespace, {"message": "Invalid namespace"})
            return
        socket = client.sockets[namespace] = Socket(
            client, namespace, self.eio.generate_id(), self.eio.max_queue, self._close
        )
        self.manager.add(socket)
        refusal: Any = {"message": "Connection refused by server"}
        try:
            if self.always_connect:
                self._confirm(socket)
            refusal = await self._ask_handler(socket, auth)
        finally:
            await self._conclude(socket, refusal)

    def _serves(self, namespace: str) -> bool:
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == "*"
            or namespace in self.namespaces
        )

    async def _ask_handler(self, socket: Socket, auth: dict[str, Any] | None) -> Any:
        """None, or what the client is told as the reason of its refusal."""
        arguments = ["connect", socket.namespace, socket.sid, self.environ[socket.client.session.sid]]
        try:
            try:
                verdict = await self._call(*arguments, auth or None)
            except TypeError:
                if auth:
                    raise
                verdict = await self._call(*arguments)  # a handler that takes no auth
        except socketio.exceptions.ConnectionRefusedError as error:
            return error.error_args
        except ConnectionRefusedError as error:
            return _refusal(error)
        except Exception:
            self.logger.exception("connect handler error")
            return {"message": "Connection refused by server"}
        return socketio.exceptions.ConnectionRefusedError().error_args if verdict is False else None

    async def _conclude(self, socket: Socket, refusal: Any) -> None:
        """The handler has decided."""
        client, was_confirmed = socket.client, socket.state is SocketState.CONNECTED
        if refusal is None and socket.left is None:
            if not was_confirmed:
                self._confirm(socket)
        elif refusal is None:
            assert socket.left is not None
            await self._disconnected(socket, socket.left)
            self._refuse(client, socket.namespace, {"message": socket.left})
        elif socket.state is not SocketState.DISCONNECTED:
            socket.disconnected()
            self._forget(socket)
            self._refuse(client, socket.namespace, refusal, DISCONNECT if was_confirmed else CONNECT_ERROR)

    def _confirm(self, socket: Socket) -> None:
        client, session = socket.client, socket.client.session
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        client.deadline = float("inf")
        session.send_frame(self.codec.encode(CONNECT, socket.namespace, {"sid": socket.sid}))
        socket.connected()
        self.manager.connected(socket)
        if session.upgraded:
            self.eio.timers.call_later(SETTLE_TIME, socket.release)
        else:
            socket.release()

    def _refuse(self, client: Client, namespace: str, reason: Any, kind: int = CONNECT_ERROR) -> None:
        client.session.send_frame(self.codec.encode(kind, namespace, reason))
        self._expect_hang_up(client)

    # A namespace: disconnect.

    async def _socket_gone(self, socket: Socket, reason: str) -> None:
        """A client has left a namespace, or its connection is over."""
        if socket.state is SocketState.CONNECTING:
            socket.left = socket.left or reason  # its connect handler is at work, and `_conclude` does the rest
        elif socket.state is SocketState.CONNECTED:
            await self._disconnected(socket, reason)

    async def _disconnected(self, socket: Socket, reason: str) -> None:
        """Tell the application that a client has left; nothing of it remains, whatever the handler does."""
        socket.disconnected()
        try:
            try:
                await self._call("disconnect", socket.namespace, socket.sid, reason)
            except TypeError:
                # Perhaps a handler that takes no reason: python-socketio tries both.
                await self._trigger_event("disconnect", socket.namespace, socket.sid, reason)
        except Exception:
            self.logger.exception("disconnect handler error")
        finally:
            self._forget(socket)

    def _forget(self, socket: Socket) -> None:
        client = socket.client
        self.manager.remove(socket)
        client.sockets.pop(socket.namespace, None)
        client.left |= {socket.namespace}

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client from a namespace. Replaces one that waited for it, and left its connection open."""
        socket = self.manager.find(sid, namespace or "/")
        if socket is not None and socket.state is SocketState.CONNECTED:
            self._send_disconnect(socket)
            await self._disconnected(socket, REASON.SERVER_DISCONNECT)
            self._expect_hang_up(socket.client)

    def _close(self, socket: Socket, reason: str) -> None:
        """Disconnect a client, and its connection if that is in no other namespace, without waiting for anything."""
        if socket.state is SocketState.CONNECTING:
            socket.left = socket.left or reason
        elif socket.state is SocketState.CONNECTED:
            self._send_disconnect(socket)
            self.eio.spawn(self._hang_up(socket, reason))

    def _send_disconnect(self, socket: Socket) -> None:
        socket.send(self.codec.encode(DISCONNECT, socket.namespace))
        socket.release()
        socket.send = discard

    async def _hang_up(self, socket: Socket, reason: str) -> None:
        await self._socket_gone(socket, REASON.SERVER_DISCONNECT)
        if not socket.client.sockets:
            await socket.client.session.close(text=reason)


def _refusal(error: ConnectionRefusedError) -> Any:
    """The built-in exception takes the same arguments as Socket.IO's; the system's own must not reach clients."""
    if error.args and isinstance(error.args[0], str):
        return socketio.exceptions.ConnectionRefusedError(*error.args).error_args
    return {"message": "Connection refused by server"}


def _completed(client: Client, data: Any) -> SocketIOPacket | None:
    """The packet, if this is the last of its attachments. Raises ProtocolViolation."""
    assert client.partial is not None
    if not isinstance(data, bytes):
        raise ProtocolViolation("a packet before the attachments of the last one")
    packet, attachments = client.partial
    attachments.append(data)
    if len(attachments) < packet.attachments:
        return None
    client.partial = None
    return packet._replace(data=fill(packet.data, attachments), attachments=0)
