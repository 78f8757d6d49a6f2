"""The accept loop: it backs off when descriptors are used up, and whoever is connected does not notice."""

import errno
import socket
import sys
import time
from contextlib import ExitStack

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.tcpserver import TCPServer
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application, RedirectHandler

from tests.gateways.standalone import doors
from webchat.net.accept import BATCH, PatientAccept


class Recorder(PatientAccept, TCPServer):
    """Keeps the connections it is handed."""

    def __init__(self):
        super().__init__()
        self.accepted = []

    def _handle_connection(self, connection, address):
        self.accepted.append(connection)


class FakeListener:
    """A listening socket whose `accept` does what it is told, one thing a call."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.calls = 0

    def fileno(self):
        return 99

    def setsockopt(self, level, option, value):
        pass

    def accept(self):
        self.calls += 1
        if not self.outcomes:
            raise BlockingIOError
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome, ("127.0.0.1", 1)

    def close(self):
        pass


class FakeLoop:
    """The part of an IOLoop that the acceptor uses."""

    def __init__(self):
        self.handler = None
        self.timers = []

    def add_handler(self, sock, handler, events):
        self.handler = lambda: handler(sock, events)

    def remove_handler(self, sock):
        assert self.handler
        self.handler = None

    def call_later(self, delay, callback):
        self.timers.append((delay, callback))
        return self.timers[-1]

    def remove_timeout(self, timer):
        self.timers.remove(timer)


@pytest.fixture
def loop(monkeypatch):
    fake = FakeLoop()
    monkeypatch.setattr(IOLoop, "current", staticmethod(lambda instance=True: fake))
    return fake


@pytest.fixture
def connection():
    one, other = socket.socketpair()
    with one, other:
        yield one


def listening(*outcomes):
    server, listener = Recorder(), FakeListener(*outcomes)
    server.add_sockets([listener])
    return server, listener


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_it_stops_listening_and_resumes_later(loop, connection, number):
    server, listener = listening(OSError(number, "none left"), connection)
    loop.handler()
    assert loop.handler is None
    [(delay, resume)] = loop.timers
    assert delay == 0.5
    resume()
    loop.handler()
    assert server.accepted == [connection]


def test_the_pauses_grow_until_a_connection_is_accepted(loop, connection):
    full = OSError(errno.EMFILE, "none left")
    listening(*[full] * 5, connection, full)
    delays = []
    for _ in range(6):
        loop.handler()
        delay, resume = loop.timers.pop()
        delays.append(delay)
        resume()
    assert delays == [0.5, 1, 2, 4, 4, 0.5]


def test_a_connection_that_died_while_it_waited_is_skipped(loop, connection):
    server, _ = listening(ConnectionAbortedError(), OSError(errno.EPROTO, "protocol error"), connection)
    loop.handler()
    assert server.accepted == [connection]


def test_a_rush_of_connections_leaves_others_their_turn(loop, connection):
    _, listener = listening(*[connection] * (2 * BATCH))
    loop.handler()
    assert listener.calls == BATCH


@pytest.mark.parametrize("paused", [False, True])
def test_stopped_it_neither_listens_nor_resumes(loop, connection, paused):
    server, _ = listening(*[OSError(errno.EMFILE, "none left")] * paused)
    loop.handler()
    server.stop()
    assert loop.handler is None
    assert not loop.timers


class Http(AsyncHTTPTestCase):
    """Tornado's HTTP server accepts the same way."""

    def get_app(self):
        return Application([("/", RedirectHandler, {"url": "/chat"})])

    def get_http_server(self):
        class PatientHTTPServer(PatientAccept, HTTPServer):
            pass

        return PatientHTTPServer(self._app)

    def test_it_serves(self):
        assert self.fetch("/", follow_redirects=False).code == 301


def said(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until this has come."""
    received = b""
    while wanted not in received:
        data = sock.recv(4096)
        assert data, received
        received += data
    return received


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and counts descriptors as Linux does")
def test_with_the_descriptors_used_up_those_connected_keep_chatting_and_newcomers_get_in_later():
    with ExitStack() as peers, doors(descriptors=40) as server:

        def connect() -> socket.socket:
            return peers.enter_context(socket.create_connection(("127.0.0.1", server.lines_port), timeout=8))

        hugo, ada = connect(), connect()
        for peer, name in ((hugo, b"Hugo"), (ada, b"ada")):
            peer.sendall(name + b"\n")
            said(peer, b"You are " + name)
        crowd = [connect() for _ in range(50)]  # the kernel takes them in; not all get a descriptor
        crowd[-1].sendall(b"late\n")
        before, since = cpu_seconds(server.process.pid), time.monotonic()
        for number in range(100):
            hugo.sendall(b"text %d\n" % number)
            said(ada, b"Hugo: text %d\n" % number)
        for peer in crowd[:-1]:
            peer.close()
        said(crowd[-1], b"You are late.")
        assert cpu_seconds(server.process.pid) - before < 0.5 * (time.monotonic() - since) + 0.2
    assert b"Traceback" not in server.complaints
    assert server.complaints.count(b"\n") <= 4
