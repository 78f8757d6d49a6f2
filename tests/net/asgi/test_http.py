"""HTTP through the ASGI bridge: requests and bodies in, responses out."""

import asyncio
import unittest

from tornado.httputil import HTTPHeaders
from tornado.testing import gen_test

from tests.net.asgi.bridge import GET, TIMEOUT, BridgeTest, read_body, respond
from webchat.net.asgi.http import BODY_BUFFER, Exchange

CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


class RequestTest(BridgeTest):
    async def asgi(self, scope, receive, send):
        await respond(send, await read_body(receive))

    @gen_test
    async def test_a_body_with_a_length(self):
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        self.assertEqual((await client.response())[2], b"x" * 200_000)

    @gen_test
    async def test_a_chunked_body(self):
        client = await self.connect()
        client.send(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        self.assertEqual((await client.response())[2], b"abcde")

    @gen_test
    async def test_a_small_body_is_one_event(self):
        events = []

        async def app(scope, receive, send):
            events.append(await receive())
            await respond(send)

        self.asgi = app
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
        await client.response()
        self.assertEqual(events, [{"type": "http.request", "body": b"abc", "more_body": False}])

    @gen_test
    async def test_a_body_arrives_while_it_is_being_sent(self):
        arrived = asyncio.Event()

        async def app(scope, receive, send):
            event = await receive()
            while event["body"] != b"first":
                event = await receive()
            arrived.set()
            await respond(send, await read_body(receive))

        self.asgi = app
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nfirst")
        await asyncio.wait_for(arrived.wait(), TIMEOUT)
        client.send(b"second")
        self.assertEqual((await client.response())[2], b"second")

    @gen_test
    async def test_a_client_that_vanishes_while_sending_is_a_disconnect(self):
        ended = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            try:
                await read_body(receive)
            except EOFError as error:
                ended.set_result(str(error))

        self.asgi = app
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nfirst")
        client.close()
        self.assertEqual(await asyncio.wait_for(ended, TIMEOUT), "http.disconnect")

    @gen_test
    async def test_a_malformed_body_ends_the_application(self):
        ended = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            try:
                await read_body(receive)
            except EOFError as error:
                ended.set_result(str(error))

        self.asgi = app
        answer = await self.exchange(CHUNKED + b"ZZ\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(await asyncio.wait_for(ended, TIMEOUT), "http.disconnect")

    @gen_test
    async def test_requests_follow_each_other_on_one_connection(self):
        client = await self.connect()
        client.send((b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\none") * 3)
        self.assertEqual([(await client.response())[2] for _ in range(3)], [b"one"] * 3)


class BackPressureTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_body_is_read_no_faster_than_the_application_takes_it(self):
        exchange = Exchange(FakeMount(), FakeConnection(), {"http_version": "1.1"}, HTTPHeaders())
        self.assertIsNone(exchange.data_received(b"x" * BODY_BUFFER))
        full = exchange.data_received(b"y")
        self.assertFalse(full.done())
        event = await exchange.receive()
        self.assertEqual(len(event["body"]), BODY_BUFFER + 1)
        self.assertTrue(full.done())

    async def test_a_disconnect_ends_the_wait_for_the_application(self):
        exchange = Exchange(FakeMount(), FakeConnection(), {"http_version": "1.1"}, HTTPHeaders())
        full = exchange.data_received(b"x" * BODY_BUFFER + b"y")
        exchange.disconnected()
        self.assertTrue(full.done())


class FakeMount:
    app = outbox = None
    max_body_size = 1 << 20

    def start(self, coroutine):
        coroutine.close()


class FakeConnection:
    def set_close_callback(self, callback):
        pass


class BodyLimitTest(BridgeTest):
    options = {"max_body_size": 100_000}

    def setUp(self):
        super().setUp()
        self.ended = asyncio.Event()

    async def asgi(self, scope, receive, send):
        try:
            await respond(send, await read_body(receive))
        except asyncio.CancelledError:
            self.ended.set()
            raise

    @gen_test
    async def test_a_body_at_the_limit_passes(self):
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        self.assertIn("200", (await client.response())[0])

    @gen_test
    async def test_a_declared_size_over_the_limit_is_refused_before_the_application_starts(self):
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100001\r\n\r\n")
        line, headers, _ = await client.response()
        self.assertEqual(line, "HTTP/1.1 413 Request Entity Too Large")
        self.assertIn("connection: close\r\n", headers.lower())
        self.assertEqual(self.scopes, [])

    @gen_test
    async def test_a_client_that_asks_before_it_sends_too_much_is_only_refused(self):
        head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n"
        answer = await self.exchange(head)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "))
        self.assertNotIn(b"100", answer.partition(b"\r\n\r\n")[2])

    @gen_test
    async def test_a_chunked_body_over_the_limit_is_refused_and_the_application_ended(self):
        client = await self.connect()
        client.send(CHUNKED)
        while not self.scopes:
            await asyncio.sleep(0)
        for _ in range(2):
            client.send(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
        client.send(b"1\r\nx\r\n0\r\n\r\n")
        self.assertIn("413", (await client.response())[0])
        await asyncio.wait_for(self.ended.wait(), TIMEOUT)

    @gen_test
    async def test_a_client_that_sends_all_before_it_reads_gets_the_answer(self):
        client = await self.connect()
        body = b"x" * 8_000_000
        await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8000000\r\n\r\n" + body)
        self.assertIn("413", (await client.response())[0])

    @gen_test
    async def test_a_refusal_in_the_middle_of_a_response_breaks_it_off(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await read_body(receive)

        self.asgi = app
        client = await self.connect()
        client.send(CHUNKED)
        await client.read_until(b"begun\r\n")
        client.send(b"186a1\r\n" + b"x" * 100_001 + b"\r\n")
        self.assertEqual(await client.read_all(), b"")


class ServerLimitTest(BridgeTest):
    """The mount's limit counts, not the one of the Tornado server, which would answer with a bare 400."""

    options = {"max_body_size": 2000}

    def get_httpserver_options(self):
        return {"max_body_size": 1000}

    async def asgi(self, scope, receive, send):
        await respond(send, await read_body(receive))

    @gen_test
    async def test_a_body_between_the_two_limits_passes(self):
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000)
        self.assertEqual((await client.response())[2], b"x" * 2000)


class ResponseTest(BridgeTest):
    @gen_test
    async def test_status_headers_and_body(self):
        self.asgi = lambda scope, receive, send: respond(
            send, b"gone", 410, [(b"x-one", b"1"), (b"x-one", b"2"), (b"content-type", b"text/plain")]
        )
        client = await self.connect()
        client.send(GET)
        status, headers, body = await client.response()
        self.assertEqual((status, body), ("HTTP/1.1 410 Gone", b"gone"))
        self.assertIn("X-One: 1\r\nX-One: 2\r\nContent-Type: text/plain\r\nDate: ", headers)

    @gen_test
    async def test_a_streamed_response_arrives_while_it_is_being_made(self):
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await go_on.wait()
            await send({"type": "http.response.body", "body": b"two", "more_body": True})
            await send({"type": "http.response.body"})

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        self.assertIn(b"Transfer-Encoding: chunked", await client.read_until(b"3\r\none\r\n"))
        go_on.set()
        self.assertEqual(await client.read(13), b"3\r\ntwo\r\n0\r\n\r\n")

    @gen_test
    async def test_a_streamed_response_of_a_known_length_is_not_chunked(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await send({"type": "http.response.body", "body": b"two"})

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        status, headers, body = await client.response()
        self.assertNotIn("chunked", headers)
        self.assertEqual(body, b"onetwo")

    @gen_test
    async def test_an_application_that_streams_waits_for_a_client_that_does_not_read(self):
        sent = 0

        async def app(scope, receive, send):
            nonlocal sent
            await send({"type": "http.response.start", "status": 200})
            while sent < 64 << 20:
                await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})
                sent += 1 << 20
            await send({"type": "http.response.body"})

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        server = await self.server_stream()
        while not server.writing():
            await asyncio.sleep(0)
        stuck = sent
        for _ in range(100):
            await asyncio.sleep(0)
        self.assertLess(stuck, 32 << 20)
        self.assertEqual(sent, stuck)

    @gen_test
    async def test_head_has_the_length_and_no_body(self):
        self.asgi = lambda scope, receive, send: respond(send, b"body")
        answer = await self.exchange(GET_AND_CLOSE.replace(b"GET", b"HEAD"))
        self.assertIn(b"Content-Length: 4\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    @gen_test
    async def test_no_content_has_neither_length_nor_body(self):
        self.asgi = lambda scope, receive, send: respond(send, b"", 204)
        answer = await self.exchange(GET_AND_CLOSE)
        self.assertNotIn(b"Content-Length", answer)
        self.assertNotIn(b"chunked", answer)

    @gen_test
    async def test_http_1_0_streams_until_the_connection_closes(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await send({"type": "http.response.body", "body": b"two"})

        self.asgi = app
        answer = await self.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\nonetwo"), answer)

    @gen_test
    async def test_the_application_may_close_the_connection(self):
        self.asgi = lambda scope, receive, send: respond(send, headers=[(b"connection", b"close")])
        answer = await self.exchange(GET)
        self.assertIn(b"Connection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"ok"))

    @gen_test
    async def test_an_answer_before_the_body_was_read_reaches_its_sender_and_keeps_the_connection(self):
        self.asgi = lambda scope, receive, send: respond(send, b"enough")
        client = await self.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        self.assertEqual((await client.response())[2], b"enough")
        client.send(GET)
        self.assertEqual((await client.response())[2], b"enough")

    @gen_test
    async def test_after_the_response_there_is_nothing_left_to_receive(self):
        last = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await respond(send)
            last.set_result(await receive())

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        await client.response()
        self.assertEqual(await asyncio.wait_for(last, TIMEOUT), {"type": "http.disconnect"})
