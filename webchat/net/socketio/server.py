"""A Socket.IO server that keeps to the protocol and sends at the price of a system call.

`AsyncServer` and `Manager` are python-socketio's, with what stands between a packet and a handler, and between an event
and its recipients, replaced; served by `socketio.ASGIApp`. Another chat with it:

    sio = AsyncServer(async_handlers=False)

    @sio.event
    async def message(sid, text):
        await sio.emit("message", text)             # or, without a coroutine, for recipients of your own choice:
        frame = sio.frame("message", text)          # encoded once …
        for outlet in friends:                      # … for these, got from sio.outlet(sid) when they connected
            outlet.send(frame)

Each override says in one line what it replaces. `tests/gateways/test_overrides.py` fails where upstream changes under
one. Specification: `socket.io-protocol` v5, and the reference server where that is silent.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import socketio
import socketio.exceptions

from webchat.net import engineio
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import POLICY
from webchat.net.socketio.client import CONFIRMED, CONNECTING, PARTING, Client, Nowhere, Outlet
from webchat.net.socketio.codec import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Codec,
    Packet,
    fill,
)
from webchat.net.socketio.manager import Manager

__all__ = ["AsyncServer", "Manager", "Outlet"]

REFUSAL_TIME = 0.5
"""Seconds for which a client that was refused may try again, or hang up by itself."""

SETTLE_TIME = 0.005
"""Seconds between CONNECT and the first event: some clients listen for events only when they have seen CONNECT, and
would lose one that shares its segment."""

MAX_NAMESPACES = 64
"""Namespaces that one connection may go through."""

EVENTS, ACKS = frozenset({EVENT, BINARY_EVENT}), frozenset({ACK, BINARY_ACK})


class AsyncServer(socketio.AsyncServer):
    """python-socketio's server for ASGI; takes upstream's arguments, those of our Engine.IO server, and two more.

    A client that is in no namespace `connect_timeout` seconds after its handshake is cut off (None: never). A packet
    may have `max_attachments` binary attachments; 0 refuses them.
    """

    def __init__(
        self,
        client_manager: Any = None,
        logger: Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: Any = None,
        *,
        connect_timeout: float | None = 45.0,
        max_attachments: int = 10,
        **kwargs: Any,
    ):
        # Adds our records of the clients; replaces the default manager.
        super().__init__(client_manager or Manager(), logger, json, async_handlers, namespaces, **kwargs)
        self.connect_timeout = float("inf") if connect_timeout is None else connect_timeout
        self.codec = Codec(self.packet_class, max_attachments)
        self._clients: dict[str, Client] = {}
        self._outlets: dict[str, Outlet] = {}
        self.unclaimed: Callable[[str, str, Any], None] | None = None
        """Called with event, sid and what the handler returned when the client asked for no acknowledgement."""

    def _engineio_server_class(self) -> type:
        """Replaces python-engineio's server with ours."""
        return engineio.AsyncServer

    # Sending.

    def frame(self, event: str, *args: Any, namespace: str = "/") -> bytes:
        """An event, encoded once for all its recipients: WebSocket frames, which polling clients get unwrapped."""
        return self.codec.encode(EVENT, namespace, [event, *args])

    def outlet(self, sid: str) -> Outlet:
        """The way to a client, to keep for as long as it is connected. Raises KeyError."""
        return self._outlets[sid]

    def send_frame(self, sid: str, frame: bytes) -> None:
        """Send a frame to a client; one that is gone does not get it."""
        if outlet := self._outlets.get(sid):
            outlet.send(frame)

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        """Replaces the way through a queue and a writer task."""
        if client := self._clients.get(eio_sid):
            client.socket.put(self.codec.packet_frames(pkt))

    # A session begins and ends.

    async def _handle_eio_connect(self, eio_sid: str, environ: dict) -> None:
        """Adds our record of the client, and its time limit."""
        await super()._handle_eio_connect(eio_sid, environ)
        client = self._clients[eio_sid] = Client(eio_sid, self.eio.sockets[eio_sid])
        self._expect(client, self.connect_timeout)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Replaces a walk through all namespaces, which the first failing handler ended."""
        client = self._clients.pop(eio_sid, None)
        if client is None:
            return
        if client.timer is not None:
            client.timer.cancel()
        try:
            for outlet in list(client.outlets.values()):
                await self._leave(outlet, reason)
        finally:
            self.environ.pop(eio_sid, None)

    def _expect(self, client: Client, seconds: float) -> None:
        """Give a client that is in no namespace so much time to change that."""
        client.deadline = asyncio.get_running_loop().time() + seconds
        self._set_timer(client)

    def _set_timer(self, client: Client, seconds: float = float("inf")) -> None:
        """Look at a client in so many seconds, or at its deadline if that comes first."""
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        loop = asyncio.get_running_loop()
        when = min(client.deadline, loop.time() + seconds)
        if when < float("inf"):
            client.timer = loop.call_at(when, self._give_up, client)

    def _give_up(self, client: Client) -> None:
        if not client.outlets:
            self.eio.spawn(client.socket.close(code=POLICY, text="not connected to a namespace"))

    # Packets come in.

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Replaces a lenient parser, attachments without bounds, and log lines.

        Raises ProtocolViolation, which ends the session.
        """
        client = self._clients.get(eio_sid)
        if client is None:
            return
        packet = self.codec.decode(data) if client.partial is None else _completed(client, data)
        if packet is None:
            return
        kind, namespace = packet.type, packet.namespace
        if kind == CONNECT:
            await self._handle_connect(eio_sid, namespace, packet.data)
            return
        outlet = client.outlets.get(namespace)
        if outlet is None or outlet.state != CONFIRMED:
            if namespace not in client.parted:
                raise ProtocolViolation("a packet before CONNECT")
        elif packet.attachments:
            client.partial = packet, []
        elif kind in EVENTS:
            await self._handle_event(eio_sid, namespace, packet.id, packet.data)
        elif kind in ACKS:
            if packet.id:  # a callback's id is never 0: there the manager keeps its counter
                await self.manager.trigger_callback(outlet.sid, packet.id, packet.data)
        else:
            await self._handle_disconnect(eio_sid, namespace)

    async def _handle_event(self, eio_sid: str, namespace: str, id: int | None, data: list) -> None:
        """Replaces tasks whose exceptions nobody saw."""
        sid = self._clients[eio_sid].outlets[namespace].sid
        call = self._handle_event_internal(self, sid, eio_sid, data, namespace, id)
        if self.async_handlers:
            self.eio.spawn(self._logged(call))
        else:
            await call

    async def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: list, namespace: str, id: int | None
    ) -> None:
        """Replaces an acknowledgement that could overtake or outlive the client's connection to the namespace."""
        result = await self._trigger_event(data[0], namespace, sid, *data[1:])
        if id is None:
            if self.unclaimed is not None:
                self.unclaimed(data[0], sid, result)
        elif result is not self.not_handled:
            values = [] if result is None else list(result) if isinstance(result, tuple) else [result]
            self.send_frame(sid, self.codec.encode(ACK, namespace, values, id))

    async def _logged(self, call: Any) -> None:
        try:
            await call
        except Exception:
            self.logger.exception("event handler error")

    # Namespaces.

    async def _handle_connect(self, eio_sid: str, namespace: str, data: dict | None) -> None:
        """Replaces one that left a sid and its rooms behind when the handler failed or the client went away."""
        client = self._clients[eio_sid]
        if namespace in client.outlets or len(client.outlets) + len(client.parted) >= MAX_NAMESPACES:
            raise ProtocolViolation("connected already")
        sid = await self.manager.pre_connect(eio_sid, namespace) if self._serves(namespace) else None
        if sid is None:
            self._refuse(client, namespace, {"message": "Invalid namespace"})
            return
        outlet = client.outlets[namespace] = self._outlets[sid] = Outlet(self, client, namespace, sid)
        refusal: Any = {"message": "Connection refused by server"}
        try:
            if self.always_connect:
                await self._confirm(outlet)
            refusal = await self._ask_handler(outlet, data)
        finally:
            await self._conclude(outlet, refusal)

    def _serves(self, namespace: str) -> bool:
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == "*"
            or namespace in self.namespaces
        )

    async def _ask_handler(self, outlet: Outlet, auth: dict | None) -> Any:
        """None, or what the client is told as the reason of its refusal."""
        arguments = ["connect", outlet.namespace, outlet.sid, self.environ[outlet.client.eio_sid]]
        try:
            try:
                verdict = await self._trigger_event(*arguments, auth or None)
            except TypeError:
                if auth:
                    raise
                verdict = await self._trigger_event(*arguments)  # a handler that takes no auth
        except socketio.exceptions.ConnectionRefusedError as error:
            return error.error_args
        except ConnectionRefusedError as error:
            return _refusal(error)
        except Exception:
            self.logger.exception("connect handler error")
            return {"message": "Connection refused by server"}
        return socketio.exceptions.ConnectionRefusedError().error_args if verdict is False else None

    async def _conclude(self, outlet: Outlet, refusal: Any) -> None:
        """The handler has decided."""
        client, confirmed = outlet.client, outlet.state == CONFIRMED
        if refusal is None and outlet.left is None:
            if not confirmed:
                await self._confirm(outlet)
        elif refusal is None:
            outlet.lead_to(Nowhere)
            await self._part(outlet, outlet.left)
            self._refuse(client, outlet.namespace, {"message": outlet.left})
        elif outlet.state != PARTING:
            await self._drop(outlet)
            self._refuse(client, outlet.namespace, refusal, DISCONNECT if confirmed else CONNECT_ERROR)

    async def _confirm(self, outlet: Outlet) -> None:
        await self.manager.connect(outlet.sid, outlet.namespace)
        client, socket = outlet.client, outlet.client.socket
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        client.deadline = float("inf")
        socket.put(self.codec.encode(CONNECT, outlet.namespace, {"sid": outlet.sid}))
        socket.hold(SETTLE_TIME)
        outlet.lead_to(socket)
        outlet.state = CONFIRMED
        if early := outlet.early.take():
            outlet.send(early)

    def _refuse(self, client: Client, namespace: str, reason: Any, kind: int = CONNECT_ERROR) -> None:
        client.socket.put(self.codec.encode(kind, namespace, reason))
        self._wait_for_hang_up(client)

    def _wait_for_hang_up(self, client: Client) -> None:
        if not client.outlets and not client.socket.closing:
            self._set_timer(client, REFUSAL_TIME)

    async def _handle_disconnect(self, eio_sid: str, namespace: str, reason: str | None = None) -> None:
        """Replaces one that left everything behind when the handler failed."""
        client = self._clients.get(eio_sid)
        outlet = client and client.outlets.get(namespace)
        if outlet:
            await self._leave(outlet, reason or self.reason.CLIENT_DISCONNECT)
            if not client.outlets and not client.socket.closing:
                self._expect(client, self.connect_timeout)

    async def _leave(self, outlet: Outlet, reason: str) -> None:
        if outlet.state == CONNECTING:
            outlet.left = outlet.left or reason  # its handler is at work, and `_conclude` will see to the rest
        elif outlet.state == CONFIRMED:
            await self._part(outlet, reason)

    async def _part(self, outlet: Outlet, reason: str) -> None:
        """Tell the application that a client has left; nothing of it remains, whatever the handler does."""
        outlet.state = PARTING
        outlet.lead_to(Nowhere)
        self.manager.pre_disconnect(outlet.sid, outlet.namespace)
        try:
            await self._trigger_event("disconnect", outlet.namespace, outlet.sid, reason)
        except Exception:
            self.logger.exception("disconnect handler error")
        finally:
            await self._drop(outlet)

    async def _drop(self, outlet: Outlet) -> None:
        outlet.state = PARTING
        outlet.lead_to(Nowhere)
        client = outlet.client
        try:
            await self.manager.disconnect(outlet.sid, outlet.namespace, ignore_queue=True)
        finally:
            self._outlets.pop(outlet.sid, None)
            client.outlets.pop(outlet.namespace, None)
            client.parted |= {outlet.namespace}

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client from a namespace. Replaces one that waited for it, and left its connection open."""
        namespace = namespace or "/"
        if ignore_queue:
            mine = self.manager.is_connected(sid, namespace)
        else:
            mine = await self.manager.can_disconnect(sid, namespace)
        outlet = self._outlets.get(sid)
        if mine and outlet is not None and outlet.state == CONFIRMED:
            outlet.send(self.codec.encode(DISCONNECT, namespace))
            await self._part(outlet, self.reason.SERVER_DISCONNECT)
            self._wait_for_hang_up(outlet.client)

    def dismiss(self, outlet: Outlet, reason: str) -> None:
        """Disconnect a client, and its connection if that is in no other namespace, without waiting for anything."""
        if outlet.state == CONNECTING:
            outlet.left = outlet.left or reason
        elif outlet.state == CONFIRMED:
            outlet.send(self.codec.encode(DISCONNECT, outlet.namespace))
            outlet.lead_to(Nowhere)
            self.eio.spawn(self._hang_up(outlet, reason))

    async def _hang_up(self, outlet: Outlet, reason: str) -> None:
        await self._leave(outlet, self.reason.SERVER_DISCONNECT)
        if not outlet.client.outlets:
            await outlet.client.socket.close(text=reason)


def _refusal(error: ConnectionRefusedError) -> dict:
    """The built-in exception takes the same arguments as Socket.IO's; the system's own says nothing to clients."""
    if error.args and isinstance(error.args[0], str):
        return socketio.exceptions.ConnectionRefusedError(*error.args).error_args
    return {"message": "Connection refused by server"}


def _completed(client: Client, data: Any) -> Packet | None:
    """The packet, when this is the last of its attachments. Raises ProtocolViolation."""
    if not isinstance(data, bytes):
        raise ProtocolViolation("a packet before the attachments of the last one")
    packet, attachments = client.partial
    attachments.append(data)
    if len(attachments) < packet.attachments:
        return None
    client.partial = None
    return packet._replace(data=fill(packet.data, attachments), attachments=0)
