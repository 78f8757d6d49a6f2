"""WebSockets through the ASGI bridge: shaking hands, talking, and keeping pace."""

import asyncio
import ssl

from tornado.testing import AsyncHTTPSTestCase, gen_test
from tornado.web import Application
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, masked
from tests.net.asgi.bridge import CONNECT, TIMEOUT, WebSocketTest, echo
from tests.uv import OnUvloop
from webchat.net.asgi import mount, websocket_of
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import binary_frame, text_frame


class HandshakeTest(WebSocketTest):
    @gen_test
    async def test_the_accept_value_is_the_one_of_rfc_6455(self):
        client = await self.connect()
        client.send(CONNECT.replace(b"A" * 22, b"dGhlIHNhbXBsZSBub25jZQ"))
        head = await client.read_until(b"\r\n\r\n")
        self.assertIn(b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", head)

    @gen_test
    async def test_the_application_chooses_subprotocol_and_headers(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept", "subprotocol": "two", "headers": [(b"x-one", b"1")]})

        self.asgi = app
        async with connect(self.get_url("/").replace("http", "ws"), subprotocols=["one", "two"]) as client:
            self.assertEqual((client.subprotocol, client.response.headers["X-One"]), ("two", "1"))

    @gen_test
    async def test_compression_is_not_agreed_to(self):
        async with connect(self.get_url("/").replace("http", "ws"), compression="deflate") as client:
            self.assertNotIn("Sec-WebSocket-Extensions", client.response.headers)

    @gen_test
    async def test_the_first_event_is_connect(self):
        await self.open()
        while not self.events:
            await asyncio.sleep(0)
        self.assertEqual(self.events, [{"type": "websocket.connect"}])

    @gen_test
    async def test_closing_before_accepting_is_a_403(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.close"})
            self.last = await receive(), await receive()
            self.over.set()

        self.asgi = app
        client = await self.connect()
        client.send(CONNECT)
        self.assertEqual((await client.response())[0], "HTTP/1.1 403 Forbidden")
        await asyncio.wait_for(self.over.wait(), TIMEOUT)
        self.assertEqual(self.last[1]["type"], "websocket.disconnect")

    @gen_test
    async def test_the_application_may_refuse_with_a_response_of_its_own(self):
        async def app(scope, receive, send):
            headers = [(b"x-one", b"1")]
            await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"who are ", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b"you?"})

        self.asgi = app
        with self.assertRaises(InvalidStatus) as raised:
            await connect(self.get_url("/").replace("http", "ws"))
        response = raised.exception.response
        self.assertEqual((response.status_code, response.headers["X-One"], response.body), (401, "1", b"who are you?"))

    @gen_test
    async def test_another_version_is_told_which_one_is_spoken(self):
        client = await self.connect()
        client.send(CONNECT.replace(b"Version: 13", b"Version: 8"))
        status, headers, _ = await client.response()
        self.assertEqual((status, self.scopes), ("HTTP/1.1 426 Upgrade Required", []))
        self.assertIn("Sec-Websocket-Version: 13", headers)

    @gen_test
    async def test_a_malformed_key_is_a_400(self):
        for key in (b"", b"short", b"!" * 24, b"A" * 24, b"A" * 11 + b"!" + b"A" * 11 + b"=="):
            client = await self.connect()
            client.send(CONNECT.replace(b"A" * 22 + b"==", key))
            self.assertEqual((await client.response())[0], "HTTP/1.1 400 Bad Request")

    @gen_test
    async def test_an_application_that_fails_before_accepting_is_a_500(self):
        async def app(scope, receive, send):
            raise ZeroDivisionError

        self.asgi = app
        client = await self.connect()
        client.send(CONNECT)
        with self.assertLogs("webchat.net.asgi.websocket", "ERROR"):
            self.assertIn("500", (await client.response())[0])

    @gen_test
    async def test_a_line_break_in_a_header_is_a_500(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept", "headers": [(b"x-one", b"1\r\nx-two: 2")]})

        self.asgi = app
        client = await self.connect()
        client.send(CONNECT)
        with self.assertLogs("webchat.net.asgi.websocket", "ERROR"):
            self.assertIn("500", (await client.response())[0])

    @gen_test
    async def test_a_client_that_leaves_before_it_is_answered_is_a_disconnect(self):
        async def app(scope, receive, send):
            await receive()
            self.accepted.set()
            self.last = await receive()
            self.over.set()
            with self.assertRaises(OSError):
                await send({"type": "websocket.accept"})

        self.asgi = app
        client = await self.connect()
        client.send(CONNECT)
        await asyncio.wait_for(self.accepted.wait(), TIMEOUT)
        client.close()
        self.assertEqual(await self.disconnected(), (1006, ""))


class MessageTest(WebSocketTest):
    async def received(self, event, send):
        await echo(event, send)

    @gen_test
    async def test_text_and_bytes_of_any_size_there_and_back(self):
        async with connect(self.get_url("/").replace("http", "ws"), max_size=None) as client:
            for message in ("ä", b"\xff", "", b"", "x" * 126, b"x" * 65_536, "x" * 1_000_000):
                await client.send(message)
                self.assertEqual(await client.recv(), message)

    @gen_test
    async def test_many_messages_in_one_segment_and_one_in_many(self):
        client = await self.open()
        client.send(masked(TEXT, b"one") + masked(TEXT, b"two") + masked(TEXT, b"th", final=False))
        client.send(masked(CONTINUATION, b"ree"))
        self.assertEqual([(await client.frame())[1] for _ in range(3)], [b"one", b"two", b"three"])

    @gen_test
    async def test_messages_behind_the_handshake_in_the_same_segment_are_read(self):
        client = await self.connect()
        client.send(CONNECT + masked(TEXT, b"early"))
        await client.read_until(b"\r\n\r\n")
        self.assertEqual(await client.frame(), (TEXT, b"early"))

    @gen_test
    async def test_a_ping_is_answered(self):
        client = await self.open()
        client.send(masked(PING, b"are you there?"))
        self.assertEqual(await client.frame(), (PONG, b"are you there?"))

    @gen_test
    async def test_a_pong_is_dropped(self):
        client = await self.open()
        client.send(masked(PONG) + masked(BINARY, b"1"))
        self.assertEqual(await client.frame(), (BINARY, b"1"))

    @gen_test
    async def test_a_receive_that_is_cancelled_loses_nothing(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            impatient = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.sleep(0)
            self.accepted.set()
            await echo(await receive(), send)

        self.asgi = app
        client = await self.open()
        await asyncio.wait_for(self.accepted.wait(), TIMEOUT)
        client.send(masked(TEXT, b"word"))
        self.assertEqual(await client.frame(), (TEXT, b"word"))


class UvloopMessageTest(OnUvloop, MessageTest):
    pass


class TlsTest(AsyncHTTPSTestCase):
    """Through Tornado's TLS stream, that writes by itself."""

    def get_app(self):
        async def app(scope, receive, send):
            self.scope = scope
            await send({"type": "websocket.accept"})
            while (event := await receive())["type"] != "websocket.disconnect":
                await echo(event, send)

        return Application(mount(r"/.*", app))

    @gen_test
    async def test_wss(self):
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        async with connect(self.get_url("/").replace("https", "wss"), max_size=None, ssl=tls) as client:
            for message in ("ä", b"\xff", "x" * 1_000_000):
                await client.send(message)
                self.assertEqual(await client.recv(), message)
        self.assertEqual(self.scope["scheme"], "wss")

    @gen_test
    async def test_a_message_over_the_limit_is_told_as_such(self):
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        async with connect(self.get_url("/").replace("https", "wss"), ssl=tls) as client:
            await client.send(bytes(11 << 20))
            with self.assertRaises(ConnectionClosed) as closed:
                await client.recv()
            self.assertEqual(closed.exception.rcvd.code, 1009)


class SendFrameTest(WebSocketTest):
    @gen_test
    async def test_frames_put_into_the_queue_keep_their_place_among_the_messages(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            websocket = websocket_of(scope)
            for i in range(0, 100, 2):
                await send({"type": "websocket.send", "text": str(i)})
                websocket.send_frame(text_frame(b"%d" % (i + 1)))

        self.asgi = app
        client = await self.open()
        self.assertEqual([(await client.frame())[1] for _ in range(100)], [b"%d" % i for i in range(100)])

    @gen_test
    async def test_it_is_closed_with_the_connection(self):
        client = await self.open()
        self.assertTrue(self.server_side().is_open)
        client.close()
        await self.disconnected()
        await self.until(lambda: not self.server_side().is_open)

    @gen_test
    async def test_before_the_accept_it_is_not_open_and_cannot_be_closed(self):
        async def app(scope, receive, send):
            websocket = websocket_of(scope)
            self.events.append(websocket.is_open)
            websocket.close(1000)
            await send({"type": "websocket.accept"})

        self.asgi = app
        client = await self.open()
        self.assertEqual(self.events, [False])
        self.assertEqual(await client.frame(), (CLOSE, b"\x03\xe8"))


class Echo:
    """A receiver that sends every message back, and notes what it was told at the end."""

    def __init__(self, websocket):
        self.websocket = websocket
        self.end = None
        self.over = asyncio.Event()

    async def receive(self, message):
        frame = text_frame(message.encode()) if isinstance(message, str) else binary_frame(message)
        self.websocket.send_frame(frame)

    async def disconnected(self, code, reason):
        self.end = self.end, code, reason
        self.over.set()


class ReceiverTest(WebSocketTest):
    """An application that has handed its WebSocket over, and returned."""

    kind = Echo

    async def asgi(self, scope, receive, send):
        await send({"type": "websocket.accept"})
        self.receiver = self.kind(websocket_of(scope))
        self.receiver.websocket.hand_over_to(self.receiver)

    async def ended(self):
        await asyncio.wait_for(self.receiver.over.wait(), TIMEOUT)
        return self.receiver.end

    @gen_test
    async def test_it_gets_each_message_and_pings_are_answered_beside_it(self):
        client = await self.open()
        client.send(masked(TEXT, b"one") + masked(PING, b"?") + masked(BINARY, b"two"))
        self.assertEqual([await client.frame() for _ in range(3)], [(TEXT, b"one"), (PONG, b"?"), (BINARY, b"two")])

    @gen_test
    async def test_it_is_told_once_how_the_client_closed(self):
        client = await self.open()
        client.send(masked(CLOSE, b"\x0f\xa0bye"))
        self.assertEqual(await client.read_all(), b"\x88\x02\x0f\xa0")
        self.assertEqual(await self.ended(), (None, 4000, "bye"))

    @gen_test
    async def test_a_violation_of_its_own_protocol_closes_with_its_status_and_both_sides_are_told_the_reason(self):
        async def receive(message):
            raise ProtocolViolation("no such word", 1008)

        client = await self.open()
        self.receiver.receive = receive
        client.send(masked(TEXT, b"one"))
        self.assertEqual(await client.frame(), (CLOSE, b"\x03\xf0no such word"))
        self.assertEqual(await self.ended(), (None, 1008, "no such word"))

    @gen_test
    async def test_it_is_told_when_the_connection_is_lost(self):
        client = await self.open()
        client.close()
        self.assertEqual(await self.ended(), (None, 1006, ""))

    @gen_test
    async def test_it_is_told_which_rule_the_client_broke(self):
        client = await self.open()
        client.send(masked(3))
        self.assertEqual((await client.frame())[0], CLOSE)
        self.assertEqual(await self.ended(), (None, 1002, "unknown opcode"))

    @gen_test
    async def test_one_that_fails_closes_with_1011_and_is_told_so(self):
        async def fail(message):
            raise ZeroDivisionError

        client = await self.open()
        self.receiver.receive = fail
        with self.assertLogs("webchat.net.asgi.websocket", "ERROR"):
            client.send(masked(TEXT, b"x"))
            self.assertEqual(await client.frame(), (CLOSE, b"\x03\xf3"))
        self.assertEqual(await self.ended(), (None, 1011, ""))

    @gen_test
    async def test_one_that_fails_at_the_end_is_logged_and_leaves_nothing(self):
        async def fail(code, reason):
            self.receiver.over.set()
            raise ZeroDivisionError

        tasks = asyncio.all_tasks()
        client = await self.open()
        self.receiver.disconnected = fail
        with self.assertLogs("webchat.net.asgi.websocket", "ERROR"):
            client.send(masked(CLOSE))
            await client.read_all()
            await self.until(lambda: not asyncio.all_tasks() - tasks)

    @gen_test
    async def test_no_coroutine_of_the_application_stays_for_an_idle_connection(self):
        await self.open()
        (task,) = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "WebSocket._run"]
        self.assertIsNone(getattr(task.get_coro().cr_await, "cr_await", None))


class ForeignServerTest(WebSocketTest):
    @gen_test
    async def test_another_asgi_server_is_told_apart_with_a_sentence(self):
        with self.assertRaisesRegex(RuntimeError, "webchat.net.asgi.mount"):
            websocket_of({"type": "websocket", "extensions": {}})


class BackPressureTest(WebSocketTest):
    @gen_test
    async def test_an_application_that_lags_holds_its_client_back(self):
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            await go_on.wait()
            while len((await receive()).get("bytes", b"")) == 1 << 20:
                self.events.append(None)
            self.over.set()

        self.asgi = app
        client = await self.open()
        sent = client.send(masked(BINARY, bytes(1 << 20), key=bytes(4)) * 32 + masked(BINARY, key=bytes(4)))
        for _ in range(1000):
            await asyncio.sleep(0)
        self.assertFalse(sent.done())
        go_on.set()
        await asyncio.wait_for(self.over.wait(), TIMEOUT)
        self.assertEqual(len(self.events), 32)

    @gen_test
    async def test_an_application_that_sends_without_end_waits_for_its_client(self):
        sent = 0

        async def app(scope, receive, send):
            nonlocal sent
            await send({"type": "websocket.accept"})
            for _ in range(1000):
                await send({"type": "websocket.send", "bytes": bytes(1 << 16)})
                sent += 1
            self.over.set()

        self.asgi = app
        client = await self.open()
        for _ in range(1000):
            await asyncio.sleep(0)
        self.assertLess(sent, 500)
        for _ in range(1000):
            await client.frame()
        await asyncio.wait_for(self.over.wait(), TIMEOUT)

    @gen_test
    async def test_what_was_sent_before_the_client_left_can_still_be_received(self):
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            await go_on.wait()
            while (event := await receive())["type"] == "websocket.receive":
                self.events.append(event["text"])
            self.last = event
            self.over.set()

        self.asgi = app
        client = await self.open()
        await client.send(masked(TEXT, b"one") + masked(TEXT, b"two") + masked(CLOSE, b"\x03\xe9bye"))
        client.close()
        go_on.set()
        self.assertEqual(await self.disconnected(), (1001, "bye"))
        self.assertEqual(self.events, ["one", "two"])
