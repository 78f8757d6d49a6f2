"""A proxy between page and server that forwards the handshake of a WebSocket but nothing after it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tests.page.browser import Server

PATIENCE_MS = 10_000
"""How long the page waits for data on a WebSocket after its handshake, in ms."""


@dataclass
class At:
    """The server that a visitor of the page uses."""

    url: str


class SwallowingProxy(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, upstream: int):
        super().__init__(("127.0.0.1", 0), Request)
        self.upstream = ("127.0.0.1", upstream)
        self.swallowed = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]


class Request(BaseRequestHandler):
    server: SwallowingProxy

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream) as upstream, suppress(OSError):
            head = _head(self.request)
            upstream.sendall(head)
            if b"Upgrade: websocket" not in head:
                threading.Thread(target=_pass_on, args=(self.request, upstream), daemon=True).start()
                _pass_on(upstream, self.request)
            else:
                self.request.sendall(_head(upstream))
                self.server.swallowed.set()
                while self.request.recv(65536):
                    pass


def _head(sock: socket.socket) -> bytes:
    """Read the head of a request or a response, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := sock.recv(1)):
            raise ConnectionError("the head is incomplete")
        head += byte
    return head


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(server: Server) -> Iterator[SwallowingProxy]:
    with SwallowingProxy(server.port) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        proxy.shutdown()


def test_a_client_behind_it_falls_back_to_long_polling(visit, guest, proxy):
    bob = visit(guest("bob"))
    ada = visit(at=At(f"http://127.0.0.1:{proxy.port}"), fresh=True)
    ada.page.clock.install()
    ada.name = guest("ada")
    ada.login(ada.name)
    assert proxy.swallowed.wait(PATIENCE_MS / 1000)
    ada.page.clock.fast_forward(PATIENCE_MS)
    ada.status.filter(has_text=f"Connected as {ada.name}").wait_for()
    ada.say("by long-polling")
    bob.hears("by long-polling")
    bob.say("heard")
    ada.hears("heard")
