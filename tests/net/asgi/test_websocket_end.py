"""Every way in which WebSockets through the ASGI bridge end."""

import asyncio
import gc
import weakref

from tornado.testing import gen_test
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.frames import BINARY, CLOSE, PING, PONG, TEXT, masked
from tests.net.asgi.bridge import CONNECT, WebSocketTest, echo
from tests.net.fake_timers import FakeTimers
from webchat.net.asgi import websocket_of
from webchat.net.asgi.websocket import RECHECK_DELAY
from webchat.net.frames import text_frame
from webchat.net.outbox import Outbox


class ClosingTest(WebSocketTest):
    @gen_test
    async def test_the_clients_close_is_answered_and_told_with_code_and_reason(self):
        client = await self.open()
        client.send(masked(CLOSE, b"\x03\xe9bye"))
        self.assertEqual(await client.read_all(), b"\x88\x02\x03\xe9")
        self.assertEqual(await self.disconnected(), (1001, "bye"))

    @gen_test
    async def test_a_close_without_a_code_is_1005(self):
        client = await self.open()
        client.send(masked(CLOSE))
        self.assertEqual(await client.read_all(), b"\x88\x00")
        self.assertEqual(await self.disconnected(), (1005, ""))

    @gen_test
    async def test_a_lost_connection_is_1006(self):
        client = await self.open()
        client.close()
        self.assertEqual(await self.disconnected(), (1006, ""))

    @gen_test
    async def test_the_application_closes_with_code_and_reason_after_what_it_sent(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "last word"})
            await send({"type": "websocket.close", "code": 4000, "reason": "enough"})
            with self.assertRaises(OSError):
                await send({"type": "websocket.send", "text": "too late"})

        self.asgi = app
        async with connect(self.get_url("/").replace("http", "ws")) as client:
            self.assertEqual(await client.recv(), "last word")
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((client.close_code, client.close_reason), (4000, "enough"))

    @gen_test
    async def test_nothing_follows_a_close_frame(self):
        client = await self.open()
        websocket = self.server_side()
        websocket.send_frame(text_frame(b"last word"))
        websocket.close(4000, "enough")
        websocket.send_frame(text_frame(b"too late"))
        client.send(masked(CLOSE, b"\x0f\xa0"))
        self.assertEqual(await client.read_all(), b"\x81\x09last word\x88\x08\x0f\xa0enough")

    @gen_test
    async def test_an_application_that_ends_closes_with_1000(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})

        self.asgi = app
        client = await self.open()
        self.assertEqual(await client.frame(), (CLOSE, b"\x03\xe8"))

    @gen_test
    async def test_an_application_that_fails_closes_with_1011(self):
        async def received(event, send):
            if event["type"] == "websocket.receive":
                raise ZeroDivisionError

        self.received = received
        client = await self.open()
        client.send(masked(TEXT, b"word"))
        with self.assertLogs("webchat.net.asgi.websocket", "ERROR"):
            self.assertEqual(await client.frame(), (CLOSE, b"\x03\xf3"))

    @gen_test
    async def test_messages_behind_our_close_are_dropped_until_the_client_answers_it(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            await receive()
            await send({"type": "websocket.close"})
            self.last = await receive()
            self.over.set()

        self.asgi = app
        client = await self.open()
        await client.frame()
        client.send(masked(TEXT, b"word") + masked(PING) + masked(CLOSE, b"\x03\xe8"))
        self.assertEqual(await client.read_all(), b"")
        self.assertEqual(await self.disconnected(), (1000, ""))

    @gen_test
    async def test_nothing_is_left_when_it_is_over(self):
        tasks = asyncio.all_tasks()
        for goodbye in (masked(CLOSE), masked(3), b""):
            client = await self.open()
            client.send(goodbye)
            client.close()
            await self.disconnected()
            self.over.clear()
        while asyncio.all_tasks() - tasks:
            await asyncio.sleep(0)


class CyclesTest(WebSocketTest):
    """Closed connections leave no reference cycles: the garbage collector runs rarely, and would find them late."""

    def setUp(self):
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    async def ended(self, *goodbyes):
        for goodbye in goodbyes:
            client = await self.open()
            reference = weakref.ref(self.server_side())
            self.websockets.clear()
            self.scopes.clear()
            client.send(goodbye)
            client.close()
            del client
            self.clients.clear()
            await self.until(lambda: reference() is None)  # noqa: B023

    @gen_test
    async def test_an_application_that_speaks_asgi_leaves_none(self):
        await self.ended(masked(CLOSE), masked(3), b"")

    @gen_test
    async def test_a_receiver_leaves_none(self):
        class Idle:
            def __init__(self, websocket):
                self.websocket = websocket

            async def receive(self, message):
                pass

            async def disconnected(self, code, reason):
                pass

        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            websocket = websocket_of(scope)
            websocket.hand_over_to(Idle(websocket))

        self.asgi = app
        await self.ended(masked(CLOSE), masked(3), b"")


class KeepAliveTest(WebSocketTest):
    """Every 20 seconds of a clock that the test moves."""

    def get_app(self):
        self.timers = FakeTimers()
        self.options = {"ping_interval": 20.0, "timers": self.timers}
        return super().get_app()

    async def pinged(self, client):
        self.timers.advance(20)
        self.assertEqual(await client.frame(), (PING, b""))

    async def answer(self, client, pong=True):
        """The client answers, and the server has read it."""
        count = len(self.events)
        client.send((masked(PONG) if pong else b"") + masked(TEXT, b"x"))
        await self.until(lambda: len(self.events) > count)

    @gen_test
    async def test_a_client_is_pinged_for_as_long_as_it_answers_and_then_told_why_it_is_disconnected(self):
        client = await self.open()
        for _ in range(3):
            await self.pinged(client)
            await self.answer(client)
        await self.pinged(client)
        self.timers.advance(20 + RECHECK_DELAY)
        self.assertEqual(await client.frame(), (CLOSE, b"\x03\xf3no answer to a ping"))
        self.assertEqual(await self.disconnected(), (1006, "no answer to a ping"))

    @gen_test
    async def test_anything_that_the_client_sends_shows_that_it_is_there(self):
        client = await self.open()
        for _ in range(3):
            await self.pinged(client)
            await self.answer(client, pong=False)

    @gen_test
    async def test_a_client_that_has_yet_to_read_what_came_before_the_ping_is_not_disconnected(self):
        client = await self.open()
        websocket = self.server_side()
        while not websocket.pending:
            websocket.send_frame(text_frame(b"x" * 100_000))
            await asyncio.sleep(0)
        self.timers.advance(100)
        self.assertTrue(websocket.is_open)
        opcode, payload = await client.frame()
        self.assertEqual((opcode, len(payload)), (TEXT, 100_000))

    @gen_test
    async def test_a_client_is_not_disconnected_because_the_application_lags(self):
        go_on = asyncio.Event()

        async def received(event, send):
            if event["type"] == "websocket.receive":
                await go_on.wait()

        self.received = received
        client = await self.open()
        await self.pinged(client)
        client.send(masked(TEXT, b"slow") + masked(PONG))
        await self.until(lambda: self.events[-1]["type"] == "websocket.receive")
        for _ in range(5):
            self.timers.advance(20 + RECHECK_DELAY)
            await self.until(lambda: not self.server_side().pending)
        self.assertTrue(self.server_side().is_open)
        go_on.set()

    @gen_test
    async def test_an_answer_that_was_unread_while_the_process_was_stalled_counts(self):
        client = await self.open()
        await self.pinged(client)
        self.timers.stall(60)  # the next check comes before the answer is read
        await self.answer(client)
        self.timers.advance(RECHECK_DELAY)
        self.assertTrue(self.server_side().is_open)
        await self.pinged(client)

    @gen_test
    async def test_a_client_that_does_not_answer_our_close_is_disconnected_when_its_time_is_over(self):
        client = await self.open()
        self.server_side().close(1000)
        self.assertEqual(await client.frame(), (CLOSE, b"\x03\xe8"))
        self.timers.advance(4.9)
        self.assertEqual(len(self.timers.running()), 1)
        self.timers.advance(0.2)
        self.assertEqual(await client.read_all(), b"")

    @gen_test
    async def test_no_timer_is_left_of_a_client_that_went_with_its_handshake(self):
        async def app(scope, receive, send):
            (await self.server_stream()).close()  # as when its end is read with its handshake
            await self.accept(receive, send)

        self.asgi = app
        client = await self.connect()
        client.send(CONNECT)
        self.assertEqual(await self.disconnected(), (1006, ""))
        await self.until(lambda: not self.timers.running())


class ViolationTest(WebSocketTest):
    options = {"max_message_size": 1000, "close_timeout": 3600}

    async def violate(self, data):
        client = await self.open()
        client.send(data)
        opcode, payload = await client.frame()
        self.assertEqual(opcode, CLOSE)
        code = int.from_bytes(payload[:2])
        self.assertEqual(await self.disconnected(), (code, payload[2:].decode()))
        return code

    @gen_test
    async def test_a_malformed_frame_closes_with_1002(self):
        self.assertEqual(await self.violate(b"\x81\x01x"), 1002)

    @gen_test
    async def test_text_that_is_not_utf8_closes_with_1007(self):
        self.assertEqual(await self.violate(masked(TEXT, b"\xff")), 1007)

    @gen_test
    async def test_a_message_over_the_limit_closes_with_1009(self):
        self.assertEqual(await self.violate(masked(TEXT, b"x" * 1001)), 1009)

    @gen_test
    async def test_a_client_that_sends_all_before_it_reads_still_finds_the_reason(self):
        client = await self.open()
        await client.send(masked(BINARY, bytes(8 << 20), key=bytes(4)))
        self.assertEqual((await client.frame())[1][:2], (1009).to_bytes(2))

    @gen_test
    async def test_a_client_sees_the_end_right_behind_the_reason(self):
        for data in (b"\x81\x01x", masked(TEXT, b"\xff"), masked(TEXT, b"x" * 1001)):
            client = await self.open()
            client.send(data)
            self.assertEqual((await client.frame())[0], CLOSE)
            self.assertEqual(await client.read_all(), b"")

    @gen_test
    async def test_the_stock_client_is_told_the_reason(self):
        async with connect(self.get_url("/").replace("http", "ws")) as client:
            await client.send("x" * 1001)
            with self.assertRaises(ConnectionClosed) as closed:
                await client.recv()
            self.assertEqual(closed.exception.rcvd.code, 1009)

    @gen_test
    async def test_a_message_at_the_limit_passes(self):
        self.received = echo
        client = await self.open()
        client.send(masked(TEXT, b"x" * 1000))
        self.assertEqual(await client.frame(), (TEXT, b"x" * 1000))


class SlowReaderTest(WebSocketTest):
    """A client that does not read is cut off, with a reason that it finds when it does."""

    options = {"outbox": Outbox(limit=100_000)}

    @gen_test
    async def test_it_is_told_and_the_application_too(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            websocket = websocket_of(scope)
            while websocket.is_open:
                websocket.send_frame(text_frame(b"x" * 10_000))
                await asyncio.sleep(0)
            self.last = await receive(), await receive()
            self.last = self.last[1]
            self.over.set()

        self.asgi = app
        client = await self.open()
        reason = "more than 100000 bytes are waiting to be read"
        self.assertEqual(await self.disconnected(), (1008, reason))
        opcode, payload = TEXT, b""
        while opcode == TEXT:
            opcode, payload = await client.frame()
            self.assertIn(opcode, (TEXT, CLOSE))
        self.assertEqual(payload, (1008).to_bytes(2) + reason.encode())


