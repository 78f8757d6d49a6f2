"""Each HTTP request gets an answer: one that is malformed, too large or too slow, and one that a FIN follows."""

import asyncio
import gc
import logging
import socket
import tracemalloc
import weakref
from contextlib import suppress

import pytest
from tornado.iostream import IOStream, StreamClosedError
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application, RequestHandler

from webchat.net import http_server
from webchat.net.asgi import Mount
from webchat.net.hosts import Hosts
from webchat.net.http_connection import MAX_READ_HEAD
from webchat.net.http_server import MAX_BODY, MAX_HEADER, HTTPServer, PrefixRouter

TIMEOUT = 5
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = bytes(8 << 20)
"""More than the sockets of a connection hold."""


class Mirror(RequestHandler):
    """Answers with the body, or as the path says."""

    def get(self):
        match self.request.path:
            case "/large":
                self.finish(LARGE)
            case "/host":
                self.finish(self.request.host)
            case _:
                self.finish(b"got " + self.request.body)

    post = get


class CountingServer(HTTPServer):
    """Counts the reads from its clients' sockets, and sees how long their streams live."""

    reads = 0
    streams = ()

    def handle_stream(self, stream, address):
        self.streams = (*self.streams, weakref.ref(stream))
        read = stream.read_from_fd

        def counted(buf):
            self.reads += 1
            return read(buf)

        stream.read_from_fd = counted
        super().handle_stream(stream, address)


class ConnectionTest(AsyncHTTPTestCase):
    def setUp(self):
        self.streams = []
        super().setUp()

    def tearDown(self):
        for stream in self.streams:
            stream.close()
        super().tearDown()

    def get_app(self):
        pages = Application([(r"/.*", Mirror)], log_function=lambda handler: None)
        return PrefixRouter("/asgi", Mount(self.asgi, max_body_size=100), pages)

    async def asgi(self, scope, receive, send):
        raise AssertionError("not called in this test")

    def get_http_server(self):
        return CountingServer(self._app, hosts=Hosts(advice="Allow {name}."), refusal_headers={"X-Safe": "yes"})

    def send(self, request):
        self.streams.append(stream := IOStream(socket.create_connection(("127.0.0.1", self.get_http_port()))))
        stream.write(request)
        return stream

    async def exchange(self, request):
        """Send bytes; return all that comes back until the server closes."""
        return await asyncio.wait_for(self.send(request).read_until_close(), TIMEOUT)

    async def end_and_read(self, request):
        """Send bytes and a FIN; return all that comes back until the server closes."""
        stream = self.send(request)
        stream.socket.shutdown(socket.SHUT_WR)
        return await asyncio.wait_for(stream.read_until_close(), TIMEOUT)

    async def assert_refused(self, request, status):
        head, _, body = (await self.exchange(request)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), (request[:200], head)
        lines = head.split(b"\r\n")
        assert b"Connection: close" in lines and b"X-Content-Type-Options: nosniff" in lines and b"X-Safe: yes" in lines
        assert b"Content-Length: %d" % len(body) in lines
        assert body.startswith(b"%d " % status) and body.endswith(b".\n") and body.count(b"\n") == 1


class RefusalTest(ConnectionTest):
    @gen_test
    async def test_what_is_no_request_is_a_bad_request(self):
        for request in (b"hello\r\n\r\n", b"\r\n\r\n", b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n",
                        b"GET  / HTTP/1.1\r\n\r\n", GET + b"X: a\rb\r\n\r\n", GET + b"X: a\r\n b\r\n\r\n",
                        GET + b"X : a\r\n\r\n", GET + b"X\r\n\r\n", GET + b": a\r\n\r\n",
                        GET + b"X: \0\r\n\r\n", b"GET x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        b"GET / HTTP/1.1\r\n\r\n", GET + b"Host: localhost\r\n\r\n",
                        b"GET /?" + b"a&" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            await self.assert_refused(request, 400)

    @gen_test
    async def test_a_head_that_is_too_large_is_answered_however_large_it_is(self):
        for size in (MAX_HEADER, MAX_READ_HEAD - 1, MAX_READ_HEAD, 1 << 20):
            await self.assert_refused(GET + b"Cookie: " + b"x" * size + b"\r\n\r\n", 431)
            await self.assert_refused(b"GET /" + b"x" * size + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414)

    @gen_test
    async def test_a_head_that_never_ends_is_answered_once_it_is_too_large(self):
        await self.assert_refused(GET + b"X: y\r\n" * (MAX_READ_HEAD // 6), 431)

    @gen_test
    async def test_a_body_that_is_too_large_is_answered(self):
        await self.assert_refused(POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + bytes(MAX_BODY + 1), 413)
        await self.assert_refused(CHUNKED + b"%x\r\n" % (MAX_BODY + 1) + bytes(MAX_BODY + 1) + b"\r\n0\r\n\r\n", 413)
        await self.assert_refused(CHUNKED + b"8000\r\n%s\r\n" % bytes(0x8000) * 9, 413)

    @gen_test
    async def test_a_refusal_of_head_has_no_body(self):
        answer = await self.exchange(b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 421 ") and answer.endswith(b"\r\n\r\n")

    @gen_test
    async def test_a_name_that_is_not_this_servers_is_answered_with_what_to_do(self):
        await self.assert_refused(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421)
        await self.assert_refused(b"GET /asgi HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421)
        await self.assert_refused(POST.replace(b"localhost", b"evil.example") + b"Content-Length: 3\r\n\r\nabc", 421)
        await self.assert_refused(b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421)
        assert b" Allow evil.example.\n" in await self.exchange(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")

    @gen_test
    async def test_the_host_of_an_absolute_target_is_the_one_that_was_asked(self):
        answer = await self.exchange(b"GET http://localhost:99/host HTTP/1.1\r\nHost: evil.example\r\n"
                                     b"Connection: close\r\n\r\n")
        assert answer.endswith(b"\r\n\r\nlocalhost:99")

    @gen_test
    async def test_nothing_that_strangers_send_is_logged(self):
        with self.assertNoLogs(level=logging.DEBUG):
            await self.exchange(b"my secret\r\n\r\n")
            await self.exchange(GET + b"Secret : a\r\n\r\n")
            await self.exchange(CHUNKED + b"secret\r\n")

    @gen_test
    async def test_a_mistake_of_the_server_is_a_500_and_is_logged(self):
        class Broken(PrefixRouter):
            def start_request(self, server_conn, request_conn):
                raise ZeroDivisionError

        self.http_server.request_callback = Broken("/", None, None)
        with self.assertLogs("webchat.net.http_connection", "ERROR"):
            await self.assert_refused(GET + b"\r\n", 500)


class ChunkTest(ConnectionTest):
    @gen_test
    async def test_chunks_may_have_extensions_and_trailers(self):
        for chunks in (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b'3;a=b;c="d e"\r\nabc\r\n2 ; x\r\nde\r\n0;last\r\n\r\n',
                       b"005\r\nabcde\r\n000\r\n\r\n", b"5\r\nabcde\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n",
                       b"5;" + b"x" * 4000 + b"\r\nabcde\r\n0\r\n\r\n"):
            assert (await self.exchange(CHUNKED + chunks)).endswith(b"\r\n\r\ngot abcde"), chunks

    @gen_test
    async def test_many_small_chunks_are_one_body(self):
        answer = await self.exchange(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert answer.endswith(b"\r\n\r\ngot " + b"x" * 100_000)

    @gen_test
    async def test_a_malformed_chunk_is_a_bad_request(self):
        for chunks in (b"x\r\n", b"\r\n", b"-1\r\n", b"0x1\r\n", b"1 \r\n", b"1\nx\r\n", b"1;a\rb\r\nx\r\n", b"1_0\r\n",
                       b"11111111111111111\r\n", b"1;" + b"x" * 5000 + b"\r\n", b"x" * 5000, b"2\r\nabc\r\n0\r\n\r\n",
                       b"2\r\nab0\r\n\r\n", b"0\r\nX A: b\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n folded\r\n\r\n"):
            await self.assert_refused(CHUNKED + chunks, 400)

    @gen_test
    async def test_trailers_without_end_are_refused(self):
        await self.assert_refused(CHUNKED + b"0\r\n" + b"X: y\r\n" * 1000, 431)
        await self.assert_refused(CHUNKED + b"0\r\nX: " + b"y" * 10_000, 431)


class ExpectationTest(ConnectionTest):
    @gen_test
    async def test_a_client_that_waits_to_send_its_body_is_told_to(self):
        stream = self.send(POST + b"Connection: close\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
        assert await stream.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        stream.write(b"abc")
        assert (await stream.read_until_close()).endswith(b"got abc")

    @gen_test
    async def test_a_client_of_http_1_0_is_not_and_gets_no_websocket(self):
        fields = b"Expect: 100-continue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc"
        assert (await self.exchange(POST.replace(b"1.1", b"1.0") + fields)).startswith(b"HTTP/1.1 200 OK\r\n")


class KeepAliveTest(ConnectionTest):
    @gen_test
    async def test_one_request_follows_the_other_until_the_client_wants_to_close(self):
        answers = await self.exchange(GET + b"\r\n" + POST + b"Content-Length: 3\r\n\r\nabc\r\n" + GET
                                      + b"Connection: TE, Close\r\n\r\n" + GET + b"\r\n")
        assert answers.count(b"HTTP/1.1 200 OK") == 3 and answers.count(b"Connection: close") == 1

    @gen_test
    async def test_http_1_0_keeps_a_connection_on_request_only(self):
        old = GET.replace(b"1.1", b"1.0")
        answers = await self.exchange(old + b"Connection: TE, Keep-Alive\r\n\r\n" + old + b"\r\n")
        assert answers.count(b"HTTP/1.1 200 OK") == 2 and answers.count(b"Connection: Keep-Alive") == 1


class HalfClosedTest(ConnectionTest):
    """The client ends its half of the connection right after what it sends."""

    @gen_test
    async def test_a_request_is_answered_and_so_are_those_before_it(self):
        assert (await self.end_and_read(GET + b"\r\n")).endswith(b"\r\n\r\ngot ")
        assert (await self.end_and_read(POST + b"Content-Length: 3\r\n\r\nabc")).endswith(b"\r\n\r\ngot abc")
        assert (await self.end_and_read((GET + b"\r\n") * 9)).count(b"200 OK") == 9

    @gen_test
    async def test_a_large_answer_is_whole(self):
        answer = await self.end_and_read(GET.replace(b"/ ", b"/large ") + b"\r\n")
        assert len(answer.partition(b"\r\n\r\n")[2]) == len(LARGE)

    @gen_test
    async def test_an_application_can_answer_later_and_learns_that_the_client_sends_no_more(self):
        events = []

        async def app(scope, receive, send):
            events.extend([await receive(), await receive(), await receive()])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2):
                await send({"type": "http.response.body", "body": LARGE, "more_body": True})
            await send({"type": "http.response.body"})

        self.asgi = app
        await self.restart()
        answer = await self.end_and_read(b"POST /asgi HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        assert len(answer.partition(b"\r\n\r\n")[2]) == 2 * len(LARGE)
        over = {"type": "http.disconnect"}
        assert events == [{"type": "http.request", "body": b"abc", "more_body": False}, over, over]

    async def restart(self):
        """Serve `self.asgi` as it is now."""
        self.http_server.request_callback = self.get_app()

    @gen_test
    async def test_a_request_that_breaks_off_is_a_bad_request(self):
        for request in (b"GET", GET, POST + b"Content-Length: 5\r\n\r\nabc", CHUNKED, CHUNKED + b"5\r\nabc",
                        CHUNKED + b"0\r\n"):
            answer = await self.end_and_read(request)
            assert answer.startswith(b"HTTP/1.1 400 ") and b"incomplete" in answer, request

    @gen_test
    async def test_an_application_that_reads_a_body_that_breaks_off_is_told(self):
        over = asyncio.Event()

        async def app(scope, receive, send):
            while (await receive())["type"] != "http.disconnect":
                pass
            over.set()

        self.asgi = app
        await self.restart()
        answer = await self.end_and_read(b"POST /asgi HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 400 ")
        await asyncio.wait_for(over.wait(), TIMEOUT)

    @gen_test
    async def test_a_connection_without_a_request_is_closed_without_an_answer(self):
        for request in (b"", b"\r\n"):
            assert await self.end_and_read(request) == b""

    @gen_test
    async def test_the_wait_for_an_answer_does_not_keep_the_event_loop_busy(self):
        waiting, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope, receive, send):
            waiting.set()
            await go_on.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        self.asgi = app
        await self.restart()
        reading = asyncio.ensure_future(self.end_and_read(b"GET /asgi HTTP/1.0\r\n\r\n"))
        await asyncio.wait_for(waiting.wait(), TIMEOUT)
        for _ in range(5):
            await asyncio.sleep(0)
        before = self.http_server.reads
        for _ in range(50):
            await asyncio.sleep(0)
        assert self.http_server.reads == before
        go_on.set()
        assert (await reading).startswith(b"HTTP/1.1 204 ")


class OverdueTest(ConnectionTest):
    def setUp(self):
        patch = pytest.MonkeyPatch()
        self.addCleanup(patch.undo)
        patch.setattr(http_server, "IDLE_TIME", 0.01)
        patch.setattr(http_server, "BODY_TIME", 0.01)
        patch.setattr(http_server, "READER_TIME", 0.01)
        super().setUp()

    @gen_test
    async def test_half_a_request_is_answered_when_its_time_is_over(self):
        for request in (b"GET", GET, POST + b"Content-Length: 5\r\n\r\nabc", CHUNKED + b"5\r\n"):
            await self.assert_refused(request, 408)

    @gen_test
    async def test_a_connection_without_a_request_is_closed_without_an_answer(self):
        assert await self.exchange(b"") == b""
        assert (await self.exchange(GET + b"\r\n")).count(b"HTTP/1.1") == 1


    @gen_test
    async def test_who_does_not_read_their_answer_is_closed(self):
        self.send(GET.replace(b"/ ", b"/large ") + b"\r\n")
        while not (self.http_server.streams and self.http_server.streams[0]() is None):
            await asyncio.sleep(0.001)

    @gen_test
    async def test_who_reads_it_slowly_gets_it_all(self):
        stream = self.send(GET.replace(b"/ ", b"/large ") + b"Connection: close\r\n\r\n")
        size = 0
        with suppress(StreamClosedError):
            while True:
                size += len(await stream.read_bytes(65536, partial=True))
                await asyncio.sleep(0)
        assert size > len(LARGE)


class MemoryTest(ConnectionTest):
    @gen_test
    async def test_nothing_of_a_request_is_kept(self):
        """Not the names of its headers, its query, its origin, nor the connection."""
        async def requests(start):
            for number in range(start, start + 50):
                secret = b"%d" % number + b"x" * 4000
                await self.exchange(b"GET /?%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-%s: a\r\nOrigin: "
                                    b"http://%s\r\n\r\n" % (secret, secret, secret))
                await self.exchange(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % secret)
            self.streams.clear()

        await requests(0)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            await requests(100)
            kept = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            gc.enable()
        assert kept < 50 * 4000, kept

    @gen_test
    async def test_a_connection_that_is_over_needs_no_garbage_collector(self):
        gc.collect()
        gc.disable()
        try:
            for request in (b"", b"GET", GET, GET + b"\r\n", b"x\r\n\r\n", POST + b"Content-Length: 5\r\n\r\nabc",
                            CHUNKED + b"5\r\nabc", CHUNKED + b"x\r\n", b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"):
                await self.end_and_read(request)
                self.send(request).close()
            self.streams.clear()
            for _ in range(50):
                await asyncio.sleep(0)
            assert [stream() for stream in self.http_server.streams] == [None] * 18
        finally:
            gc.enable()
