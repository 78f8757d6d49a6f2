"""The load: many clients in one process, which count the messages that they receive."""

import base64
import os
import select
import socket
import time
from dataclasses import dataclass

MASKING_KEY = b"\x37\xfa\x21\x3d"

DELIVERY_TIMEOUT = 30.0
"""Seconds without any delivery after which a measurement is given up."""


class Stalled(Exception):
    """The server closed a connection, or has stopped delivering."""


class Protocol:
    """What a client sends."""

    def login(self, number: int, port: int) -> list[tuple[bytes, bytes]]:
        """The steps of a login: what to send, and what the reply must contain (b"" for no reply)."""
        raise NotImplementedError

    def message(self, text: bytes) -> bytes:
        """A message to everyone."""
        raise NotImplementedError

    def answer(self, received: bytes) -> bytes | None:
        """The reply to a ping among the received bytes; None without one."""
        return None


class SocketIO(Protocol):
    """Socket.IO v5 over WebSocket."""

    PING = b"\x81\x012"

    def login(self, number: int, port: int) -> list[tuple[bytes, bytes]]:
        key = base64.b64encode(os.urandom(16)).decode()
        handshake = (
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://127.0.0.1:{port}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        connect = _masked(b'40{"username":"user%d"}' % number)
        return [(handshake.encode(), b'"sid"'), (connect, b'["welcome"')]

    def message(self, text: bytes) -> bytes:
        return _masked(b'42["message",{"message":"%b"}]' % text)

    def answer(self, received: bytes) -> bytes | None:
        return _masked(b"3") if self.PING in received else None


class Lines(Protocol):
    """Lines of text; those that begin with `*` are messages."""

    def login(self, number: int, port: int) -> list[tuple[bytes, bytes]]:
        return [(b"user%d\n" % number, b"")]

    def message(self, text: bytes) -> bytes:
        return b"*%b\n" % text


@dataclass(frozen=True)
class Round:
    """What was delivered in one round. `latencies` are in ms, one for each chunk of bytes that a client received."""

    deliveries: int
    latencies: list[float]


class Fleet:
    """Clients of one server, which log in `batch_size` at a time; a context manager that closes them."""

    def __init__(self, protocol: Protocol, port: int, size: int, batch_size: int = 100):
        self.protocol = protocol
        self.clients: dict[int, socket.socket] = {}
        self._poller = select.epoll()
        self._rounds = 0
        for first in range(0, size, batch_size):
            self._login(range(first, min(first + batch_size, size)), port)
            if first % 100 == 0:
                self.settle(0)  # answers pings while the others log in

    def _login(self, numbers: range, port: int) -> None:
        clients = [socket.create_connection(("127.0.0.1", port), DELIVERY_TIMEOUT) for _ in numbers]
        for step in zip(*(self.protocol.login(number, port) for number in numbers), strict=True):
            for client, (data, _) in zip(clients, step, strict=True):
                client.sendall(data)
            for client, (_, mark) in zip(clients, step, strict=True):
                _read_until(client, mark)
        for client in clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setblocking(False)
            self.clients[client.fileno()] = client
            self._poller.register(client, select.EPOLLIN)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._poller.close()
        for client in self.clients.values():
            client.close()

    def settle(self, silence: float = 0.5) -> None:
        """Read until nothing has come for `silence` seconds."""
        while self.read(silence):
            pass

    def round(self, speakers: int, size: int) -> Round:
        """Let `speakers` clients each send `size` bytes, and wait until all clients have received all messages.

        Raises Stalled.
        """
        self._rounds += 1
        mark = b"<%08d>" % self._rounds
        missing = speakers * len(self.clients)
        deliveries = missing
        latencies: list[float] = []
        tails: dict[int, bytes] = {}  # by descriptor, the bytes in which a mark may have begun
        said = self.protocol.message(mark + b"." * (size - len(mark)))
        started = last_delivery = time.perf_counter()
        for client in list(self.clients.values())[:speakers]:
            client.send(said)
        while missing > 0:
            if time.perf_counter() - last_delivery > DELIVERY_TIMEOUT:
                raise Stalled(f"{missing} of {deliveries} deliveries are missing")
            for fd, data in self.read(1):
                data = tails.get(fd, b"") + data
                if count := data.count(mark):
                    missing -= count
                    last_delivery = time.perf_counter()
                    latencies.append((last_delivery - started) * 1000)
                    data = data[data.rindex(mark) + len(mark) :]
                tails[fd] = data[1 - len(mark) :]
        return Round(deliveries, latencies)

    def read(self, timeout: float) -> list[tuple[int, bytes]]:
        """Wait at most `timeout` seconds for data, and return it by descriptor; pings are answered.

        Raises Stalled.
        """
        received = []
        for fd, _ in self._poller.poll(timeout):
            data = self.clients[fd].recv(1 << 18)
            if not data:
                raise Stalled("the server closed a connection")
            if answer := self.protocol.answer(data):
                self.clients[fd].send(answer)
            received.append((fd, data))
        return received


def _read_until(client: socket.socket, mark: bytes) -> None:
    data = b""
    while mark not in data:
        received = client.recv(1 << 16)
        if not received:
            raise Stalled(f"the server closed the connection after {data[-100:]!r}")
        data += received


def _masked(payload: bytes) -> bytes:
    """A text frame as a client sends it."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x81" + length + MASKING_KEY + bytes(byte ^ MASKING_KEY[i % 4] for i, byte in enumerate(payload))
