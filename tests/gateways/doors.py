"""A hub with TCP doors, and peers that connect to them as any socket program would."""

import asyncio
import os
import socket
import struct

from tornado.testing import AsyncTestCase, bind_unused_port

from tests.chat.fakes import immediately
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.hub import Hub
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import LineDoor
from webchat.net.outbox import Outbox

PATIENCE = 15.0
"""Seconds after which something that does not come is missing; a busy machine is no failure."""

os.environ.setdefault("ASYNC_TEST_TIMEOUT", str(2 * PATIENCE))


class Peer:
    """One TCP client. What it receives is kept until a wait consumes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer
        self.received = b""
        self.segments: list[tuple[float, bytes]] = []

    @classmethod
    async def connect(cls, port: int) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: str | bytes) -> None:
        self._writer.write(data.encode() if isinstance(data, str) else data)

    async def until(self, wanted: str | bytes) -> str:
        """Wait until this has come; return, and forget, all that came up to its end."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        while wanted not in self.received:
            if not await self._receive():
                raise AssertionError(f"the connection ended before {wanted!r} came, after {self.received!r}")
        end = self.received.index(wanted) + len(wanted)
        taken, self.received = self.received[:end], self.received[end:]
        return taken.decode()

    async def ended(self) -> str:
        """Wait until the server closes; return the last words."""
        while await self._receive():
            pass
        return self.received.decode()

    async def _receive(self) -> bool:
        try:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"nothing more came after {self.received!r}") from None
        except ConnectionResetError:
            return False
        self.segments.append((asyncio.get_running_loop().time(), data))
        self.received += data
        return bool(data)

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()

    def close(self) -> None:
        self._writer.close()

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """Vanish with a RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class DoorTest(AsyncTestCase):
    """One hub. After each test nobody is left in it, and none of the doors' tasks and timers are."""

    limit = 1 << 20
    patience = 10.0
    settings: dict = {}

    def setUp(self):
        super().setUp()
        self.hub = Hub(demo_accounts(run=immediately), LocalBackplane(), self.io_loop.asyncio_loop, **self.settings)
        self.outbox = Outbox(limit=self.limit, patience=self.patience)
        self.doors = []
        self.peers = []

    def tearDown(self):
        for peer in self.peers:
            peer.close()
        self.io_loop.run_sync(self._close)
        super().tearDown()

    async def _close(self):
        for door in self.doors:
            await door.drain("The test is over.")
        assert not any(door.connections for door in self.doors)
        assert not self.hub.sessions
        assert not len(self.hub.people)

    def open_door(self, kind, **settings) -> int:
        sock, port = bind_unused_port()
        door = kind(self.hub, self.outbox, **settings)
        door.add_sockets([sock])
        self.doors.append(door)
        return port

    def open_lines(self, **settings) -> int:
        return self.open_door(LineDoor, **settings)

    def open_braces(self, **settings) -> int:
        return self.open_door(BraceDoor, **settings)

    async def connect(self, port: int) -> Peer:
        peer = await Peer.connect(port)
        self.peers.append(peer)
        return peer

    async def typist(self, port: int, name: str, ending: str = "\n") -> Peer:
        """Somebody at the lines door who has been let in."""
        peer = await self.connect(port)
        peer.send(name + ending)
        await peer.until("/help lists what else you can do." + ending)
        return peer

    async def bracer(self, port: int, name: str, ending: str = "\n") -> Peer:
        """Somebody at the braces door who has been let in, and has heard who is here."""
        peer = await self.connect(port)
        peer.send("{REGISTER}" + name + ending)
        await peer.until("{CLIENTS}")
        await peer.until(name + ending)
        return peer
