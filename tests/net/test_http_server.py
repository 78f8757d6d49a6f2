"""The HTTP server: its limits, and what it passes on by the beginning of the path."""

import asyncio
import socket
from types import SimpleNamespace

import pytest
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream
from tornado.testing import AsyncHTTPTestCase, bind_unused_port, gen_test
from tornado.web import Application, RequestHandler

from webchat.net import http_server
from webchat.net.http_server import HTTPServer, PrefixRouter

TIMEOUT = 5


class Mirror(RequestHandler):
    """Answers with the client's address and the size of the body."""

    def initialize(self, name="main"):
        self.name = name

    def get(self):
        self.finish(f"{self.name} {self.request.remote_ip} {len(self.request.body)}")

    post = get


class ServerTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([(r"/.*", Mirror)], log_function=lambda handler: None)

    def get_http_server(self):
        return HTTPServer(self._app)

    async def exchange(self, request):
        """Send bytes; return all that comes back until the server closes."""
        stream = IOStream(socket.create_connection(("127.0.0.1", self.get_http_port())))
        try:
            stream.write(request)
            return await asyncio.wait_for(stream.read_until_close(), TIMEOUT)
        finally:
            stream.close()

    def test_a_forwarding_header_does_not_change_the_address_of_the_peer(self):
        answer = self.fetch("/", headers={"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7"})
        assert answer.body == b"main 127.0.0.1 0"

    def test_a_body_up_to_the_limit_is_accepted(self):
        answer = self.fetch("/", method="POST", body=bytes(http_server.MAX_BODY))
        assert answer.body == b"main 127.0.0.1 %d" % http_server.MAX_BODY

    @gen_test
    async def test_a_body_over_the_limit_is_refused_before_it_arrives(self):
        request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (http_server.MAX_BODY + 1)
        assert (await self.exchange(request)).startswith(b"HTTP/1.1 413 ")

    @gen_test
    async def test_headers_over_the_limit_are_answered(self):
        request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: %s\r\n\r\n" % (b"x" * http_server.MAX_HEADER)
        assert (await self.exchange(request)).startswith(b"HTTP/1.1 431 ")

    @gen_test
    async def test_headers_within_the_limit_are_accepted(self):
        request = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: %s\r\n\r\n"
                   % (b"x" * (http_server.MAX_HEADER - 200)))
        assert (await self.exchange(request)).startswith(b"HTTP/1.1 200 OK")

    def test_slow_bodies_have_their_time(self):
        assert self.http_server.conn_params.body_timeout == http_server.BODY_TIME


def test_the_limits_cannot_be_changed_by_an_argument_but_other_options_can():
    server = HTTPServer(Application([]), max_body_size=1, no_keep_alive=True)
    assert server.conn_params.max_body_size == http_server.MAX_BODY
    assert server.conn_params.no_keep_alive is True


class RoutedTest(AsyncHTTPTestCase):
    """Both sides of the router, with a real server."""

    def get_app(self):
        below = Application([(r"/.*", Mirror, {"name": "below"})], log_function=lambda handler: None)
        other = Application([(r"/.*", Mirror, {"name": "other"})], log_function=lambda handler: None)
        return PrefixRouter("/socket.io/", below, other)

    def get_http_server(self):
        return HTTPServer(self._app)

    def test_the_beginning_of_the_path_decides_who_gets_a_request_and_its_body(self):
        for path, name in {"/socket.io/": b"below", "/socket.io/?EIO=4": b"below", "/socket.io/more": b"below",
                           "/": b"other", "/socket.io": b"other", "/chat/socket.io/": b"other",
                           "/?next=/socket.io/": b"other"}.items():
            assert self.fetch(path).body == name + b" 127.0.0.1 0", path
            assert self.fetch(path, method="POST", body=b"x" * 100_000).body == name + b" 127.0.0.1 100000", path


class Recorder(HTTPServerConnectionDelegate, HTTPMessageDelegate):
    """Notes what it is told."""

    def __init__(self):
        self.calls = []

    def start_request(self, server_conn, request_conn):
        self.calls.append(("start", server_conn, request_conn))
        return self

    def headers_received(self, start_line, headers):
        self.calls.append(("headers", start_line.path, headers["Host"]))
        return "headers"

    def data_received(self, chunk):
        self.calls.append(("data", chunk))
        return "data"

    def finish(self):
        self.calls.append(("finish",))

    def on_connection_close(self):
        self.calls.append(("closed",))


@pytest.fixture
def routed():
    target, router = Recorder(), Recorder()
    return SimpleNamespace(target=target, router=router, all=PrefixRouter("/below/", target, router))


HOST = HTTPHeaders({"Host": "chat.example"})


def test_every_call_for_a_request_is_passed_on_with_what_it_returns(routed):
    request = routed.all.start_request("server", "request")
    assert request.headers_received(RequestStartLine("POST", "/below/x", "HTTP/1.1"), HOST) == "headers"
    assert request.data_received(b"abc") == "data"
    request.finish()
    request.on_connection_close()
    assert routed.target.calls == [("start", "server", "request"), ("headers", "/below/x", "chat.example"),
                                   ("data", b"abc"), ("finish",), ("closed",)]
    assert routed.router.calls == []


def test_a_connection_that_is_closed_before_the_path_is_known_concerns_nobody(routed):
    routed.all.start_request("server", "request").on_connection_close()
    assert routed.target.calls == routed.router.calls == []


def test_two_requests_of_one_connection_may_go_different_ways(routed):
    for path in ("/below/", "/other"):
        routed.all.start_request("server", path).headers_received(RequestStartLine("GET", path, "HTTP/1.1"), HOST)
    assert [call[1] for call in routed.target.calls if call[0] == "headers"] == ["/below/"]
    assert [call[1] for call in routed.router.calls if call[0] == "headers"] == ["/other"]


def test_a_response_is_not_routed(routed):
    with pytest.raises(AssertionError):
        routed.all.start_request("server", "request").headers_received(ResponseStartLine("HTTP/1.1", 200, "OK"), HOST)


def test_a_server_accepts_through_our_acceptor_until_it_is_stopped():
    async def listen():
        listener, port = bind_unused_port()
        server = HTTPServer(Application([]))
        server.add_sockets([listener])
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)  # which Tornado's own does not set
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    asyncio.run(listen())
