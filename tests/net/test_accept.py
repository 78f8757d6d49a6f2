"""Accepting connections: in batches, with pauses when descriptors are used up, and with the options they inherit."""

import asyncio
import errno
import socket
import sys
from contextlib import ExitStack

import pytest
from tornado.httpserver import HTTPServer
from tornado.tcpserver import TCPServer
from tornado.testing import AsyncHTTPTestCase, bind_unused_port
from tornado.web import Application, RedirectHandler

from tests.gateways.standalone import doors
from webchat.net.accept import BATCH, MAX_UNSENT, Acceptor, PatientAccept

ADDRESS = ("127.0.0.1", 1)


class FakeListener:
    """A listening socket whose `accept` has the given outcomes, one a call; then nobody is waiting."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.calls = 0

    def setsockopt(self, level, option, value):
        pass

    def accept(self):
        self.calls += 1
        if not self.outcomes:
            raise BlockingIOError
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome, ADDRESS


class FakeLoop:
    """The part of an IOLoop that an acceptor uses."""

    def __init__(self):
        self.handler = None
        self.timers = []

    def add_handler(self, sock, handler, events):
        assert self.handler is None
        self.handler = lambda: handler(sock, events)

    def remove_handler(self, sock):
        assert self.handler
        self.handler = None

    def call_later(self, delay, callback):
        self.timers.append((delay, callback))
        return self.timers[-1]

    def remove_timeout(self, timer):
        self.timers.remove(timer)


class Accepting:
    """An acceptor with its fakes, and what it passed on."""

    def __init__(self, *outcomes, **options):
        self.loop, self.listener, self.accepted = FakeLoop(), FakeListener(*outcomes), []
        self.acceptor = Acceptor(self.listener, lambda *connection: self.accepted.append(connection), loop=self.loop,
                                 **options)

    def pause(self):
        """Let a connection wait, for which there is no descriptor; return (seconds of the pause, how it ends)."""
        self.loop.handler()
        [timer] = self.loop.timers
        self.loop.timers.clear()
        return timer


def no_descriptors():
    return OSError(errno.EMFILE, "Too many open files")


def test_all_who_wait_are_accepted_with_their_addresses():
    accepting = Accepting("one", "two")
    accepting.loop.handler()
    assert accepting.accepted == [("one", ADDRESS), ("two", ADDRESS)]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_or_memory_it_stops_listening_and_resumes_later(number):
    accepting = Accepting(OSError(number, "none left"), "one")
    delay, resume = accepting.pause()
    assert delay == 0.5
    assert accepting.loop.handler is None
    resume()
    accepting.loop.handler()
    assert accepting.accepted == [("one", ADDRESS)]


def test_the_pauses_grow_to_a_limit_until_a_connection_is_accepted():
    accepting = Accepting(*[no_descriptors()] * 5, "one", no_descriptors())
    delays = []
    for _ in range(6):
        delay, resume = accepting.pause()
        delays.append(delay)
        resume()
    assert delays == [0.5, 1, 2, 4, 4, 0.5]


def test_the_pauses_can_be_chosen():
    accepting = Accepting(no_descriptors(), pauses=(7,))
    assert accepting.pause()[0] == 7


def test_each_pause_is_logged_once(caplog):
    Accepting(no_descriptors()).pause()
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "0.5 s" in record.getMessage() and "Too many open files" in record.getMessage()


def test_a_connection_that_was_lost_while_it_waited_is_skipped():
    accepting = Accepting(ConnectionAbortedError(), OSError(errno.EPROTO, "protocol error"), "one")
    accepting.loop.handler()
    assert accepting.accepted == [("one", ADDRESS)]
    assert not accepting.loop.timers


def test_a_rush_of_connections_is_accepted_in_batches():
    accepting = Accepting(*["one"] * (2 * BATCH))
    accepting.loop.handler()
    assert len(accepting.accepted) == BATCH
    accepting.loop.handler()
    assert len(accepting.accepted) == 2 * BATCH


def test_stopped_it_no_longer_listens():
    accepting = Accepting("one")
    accepting.acceptor.stop()
    assert accepting.loop.handler is None


def test_stopped_in_a_pause_it_does_not_resume():
    accepting = Accepting(no_descriptors())
    accepting.loop.handler()
    accepting.acceptor.stop()
    assert accepting.loop.handler is None
    assert not accepting.loop.timers


def test_stopped_by_the_connection_that_it_passed_on_it_accepts_no_other():
    accepting = Accepting()
    acceptor = Acceptor(FakeListener("one", "two"), lambda *connection: stop(connection), loop=(loop := FakeLoop()))

    def stop(connection):
        accepting.accepted.append(connection)
        acceptor.stop()

    loop.handler()
    assert accepting.accepted == [("one", ADDRESS)]


@pytest.mark.parametrize(("level", "option", "value"), [
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.SOL_SOCKET, "SO_OOBINLINE", 1), (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10), (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", MAX_UNSENT),
])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems lack some options or do not inherit")
def test_accepted_connections_have_the_options(level, option, value):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Acceptor(listener, print, loop=FakeLoop())
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as connection:
            assert connection.getsockopt(level, getattr(socket, option)) == value


def test_a_socket_that_is_not_tcp_goes_without_the_options_of_tcp():
    one, other = socket.socketpair()
    with one, other:
        Acceptor(one, print, loop=FakeLoop())
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_options_that_this_system_does_not_have_are_left_out(monkeypatch):
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        monkeypatch.delattr(socket, name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Acceptor(listener, print, loop=FakeLoop())
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


class Greeter(PatientAccept, TCPServer):
    """Says hello to each connection."""

    def handle_stream(self, stream, address):
        stream.write(b"hello").add_done_callback(lambda _: stream.close())


def test_a_tcp_server_accepts_through_it_on_all_its_sockets_until_it_is_stopped():
    async def serve():
        server = Greeter()
        listeners = [bind_unused_port() for _ in range(2)]
        server.add_sockets([listener for listener, _ in listeners])
        for _, port in listeners:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"hello"
            writer.close()
        server.stop()
        for _, port in listeners:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(serve())


class HttpTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", RedirectHandler, {"url": "/chat"})])

    def get_http_server(self):
        class PatientHTTPServer(PatientAccept, HTTPServer):
            pass

        return PatientHTTPServer(self._app)

    def test_an_http_server_accepts_through_it(self):
        assert self.fetch("/", follow_redirects=False).code == 301


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until this has arrived."""
    received = b""
    while wanted not in received:
        data = sock.recv(4096)
        assert data, received
        received += data
    return received


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors as Linux does")
def test_without_descriptors_those_connected_keep_chatting_and_others_get_in_when_some_are_free():
    with ExitStack() as peers, doors(descriptors=40) as server:

        def connect() -> socket.socket:
            return peers.enter_context(socket.create_connection(("127.0.0.1", server.lines_port), timeout=8))

        hugo, ada = connect(), connect()
        for peer, name in ((hugo, b"Hugo"), (ada, b"ada")):
            peer.sendall(name + b"\n")
            read_until(peer, b"You are " + name)
        crowd = [connect() for _ in range(50)]  # the kernel takes them in; not all get a descriptor
        crowd[-1].sendall(b"late\n")
        for number in range(100):
            hugo.sendall(b"text %d\n" % number)
            read_until(ada, b"Hugo: text %d\n" % number)
        for peer in crowd[:-1]:
            peer.close()
        read_until(crowd[-1], b"You are late.")
    assert b"Traceback" not in server.complaints
    assert server.complaints.count(b"\n") < 20  # one line for each pause; without pauses thousands
