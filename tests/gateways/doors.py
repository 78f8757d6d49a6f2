"""A hub with TCP doors, and peers that connect to them as any socket program would."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from tornado.testing import AsyncTestCase, bind_unused_port

from tests.chat.fakes import immediately
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.hub import Hub
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import LineDoor
from webchat.gateways.tcp import TCPDoor
from webchat.net.entrance import Entrance
from webchat.net.outbox import Outbox

PATIENCE = 15.0
"""Seconds after which something that has not arrived counts as missing; a busy machine is no failure."""

NEVER = 3600.0
"""Seconds; longer than any test."""

os.environ.setdefault("ASYNC_TEST_TIMEOUT", str(2 * PATIENCE))


class Peer:
    """One TCP client. It keeps what it receives until a wait consumes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer
        self.received = b""
        self.segments: list[bytes] = []
        self.was_reset = False

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    def send(self, data: str | bytes) -> None:
        self._writer.write(data.encode() if isinstance(data, str) else data)

    async def until(self, wanted: str | bytes) -> str:
        """Wait until this arrives; return, and forget, everything up to its end."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        while wanted not in self.received:
            if not await self.more():
                raise AssertionError(f"the connection ended before {wanted!r} arrived, after {self.received!r}")
        end = self.received.index(wanted) + len(wanted)
        taken, self.received = self.received[:end], self.received[end:]
        return taken.decode(errors="replace")

    async def ended(self) -> str:
        """Wait until the server ends the connection; return what has arrived."""
        while await self.more():
            pass
        return self.received.decode()

    async def more(self) -> bool:
        """Wait for another segment; return False if the server has ended the connection."""
        try:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"nothing more arrived after {self.received!r}") from None
        except ConnectionResetError:
            self.was_reset = True
            return False
        self.segments.append(data)
        self.received += data
        return bool(data)

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()

    def go_on_reading(self) -> None:
        self._writer.transport.resume_reading()

    def close(self) -> None:
        self._writer.close()

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """End the connection with a RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class FakeTimer:
    """One call of `Timers.call_later`."""

    def __init__(self, seconds: float, callback: Callable[[], None]):
        self.seconds = seconds
        self.callback = callback
        self.is_pending = True

    def cancel(self) -> None:
        self.is_pending = False

    def expire(self) -> None:
        if self.is_pending:
            self.is_pending = False
            self.callback()


class Timers:
    """Stands in for an event loop's timers; a test decides when they expire."""

    def __init__(self) -> None:
        self._timers: list[FakeTimer] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(seconds, callback)
        self._timers.append(timer)
        return timer

    @property
    def pending(self) -> list[FakeTimer]:
        return [timer for timer in self._timers if timer.is_pending]

    def pending_for(self, seconds: float) -> list[FakeTimer]:
        """The timers of that length that are pending, the newest last."""
        return [timer for timer in self.pending if timer.seconds == seconds]


class DoorTest(AsyncTestCase):
    """One hub. After each test nobody is left in it, and no connection of its doors."""

    limit = 1 << 20
    patience = 60.0
    entrance = Entrance(clock=lambda: 0.0)
    client_tls: ssl.SSLContext | None = None
    server_tls: ssl.SSLContext | None = None

    def setUp(self) -> None:
        super().setUp()
        self.outbox = Outbox(limit=self.limit, patience=self.patience)
        self.doors: list[TCPDoor] = []
        self.peers: list[Peer] = []
        self.use_hub()

    def use_hub(self, **settings: Any) -> None:
        """Let doors that are opened from now on belong to a new hub with these settings."""
        self.hub = Hub(demo_accounts(run=immediately), LocalBackplane(), self.io_loop.asyncio_loop, **settings)

    def tearDown(self) -> None:
        for peer in self.peers:
            peer.close()
        self.io_loop.run_sync(self._close)
        super().tearDown()

    async def _close(self) -> None:
        for door in self.doors:
            await door.drain("The test is over.")
        assert not any(door.connections for door in self.doors)
        assert not self.hub.sessions
        assert not len(self.hub.people)

    def open_door(self, kind: type[TCPDoor], **settings: Any) -> int:
        sock, port = bind_unused_port()
        door = kind(self.hub, self.outbox, **settings)
        door.use_tls(self.server_tls)
        door.add_sockets([sock], self.entrance)
        self.doors.append(door)
        return port

    def open_lines(self, **settings: Any) -> int:
        """Open a lines door where silence ends a line at once, so that no test has to wait for it."""
        return self.open_door(LineDoor, **{"idle_time": 0, **settings})

    def open_braces(self, **settings: Any) -> int:
        """Open a braces door where silence ends a message at once, but never one that looks incomplete."""
        return self.open_door(BraceDoor, **{"idle_time": 0, "unfinished_time": NEVER, **settings})

    async def connect(self, port: int) -> Peer:
        peer = await Peer.connect(port, self.client_tls)
        self.peers.append(peer)
        return peer

    async def typist(self, port: int, name: str, ending: str = "\n") -> Peer:
        """Somebody who has logged in at the lines door."""
        peer = await self.connect(port)
        peer.send(name + ending)
        await peer.until("/help lists what else you can do." + ending)
        return peer

    async def bracer(self, port: int, name: str, ending: str = "\n") -> Peer:
        """Somebody who has logged in at the braces door, and has received the list of people."""
        peer = await self.connect(port)
        peer.send("{REGISTER}" + name + ending)
        await peer.until("{CLIENTS}")
        await peer.until(name + ending)
        return peer
