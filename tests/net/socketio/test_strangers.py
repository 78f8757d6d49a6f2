"""The Socket.IO server among strangers: hostile frames, refused and broken logins, clients that do not read."""

import asyncio
import gc

from tests.net.fake_timers import FakeTimers
from tests.net.realtime import SocketTest, online
from webchat.net.asgi import WebSocket
from webchat.net.engineio.session import EngineSession
from webchat.net.socketio.client import Client, Socket
from webchat.net.socketio.server import HANG_UP_TIME, SETTLE_TIME

DEEP = '42["message",' + "[" * 100_000


class HostileTest(SocketTest):
    """Whatever breaks the protocol closes the connection, though the client answers pings; nothing stays behind."""

    options = {"max_attachments": 2}

    FRAMES = {
        "not a packet": "4abc",
        "an empty packet": "4",
        "an unknown type": "47",
        "an event that is no list": "42{}",
        "an event without a name": "42[]",
        "an event whose name is no string": "42[1]",
        "no JSON": '42["message"',
        "a number that is none": "42[\"message\",NaN]",
        "a malformed id": '42abc["message"]',
        "a huge id": "42" + "9" * 10_000 + '["message"]',
        "a huge namespace": "40/" + "x" * 100_000 + ",",
        "deep nesting": DEEP,
        "nesting that is deep enough": DEEP[:300] + "]" * 287 + "]",
        "a CONNECT that is no object": '40["auth"]',
        "a CONNECT_ERROR": '44{"message":"x"}',
        "an acknowledgement without id": "43[]",
        "an acknowledgement that is no list": '431"x"',
        "a DISCONNECT with a payload": '41["x"]',
        "the reserved event connect": '42["connect",{}]',
        "the reserved event disconnect": '42["disconnect","x"]',
        "the reserved event connect_error": '42["connect_error"]',
        "the reserved event disconnecting": '42["disconnecting"]',
        "the reserved event newListener": '42["newListener"]',
        "the reserved event removeListener": '42["removeListener"]',
        "a binary event without a count": '45["message"]',
        "a count on a text event": '421-["message"]',
        "too many attachments": '453-["message"]',
        "a huge number of attachments": '45999999999999-["message"]',
    }

    @online
    async def test_hostile_frames_close_the_connection_and_leave_nothing(self):
        for what, frame in self.FRAMES.items():
            with self.subTest(what):
                client = await self.join()
                await client.send_str(frame)
                code, reason = await self.closed(client)
                self.assertIn(code, (1002, 1009))
                self.assertTrue(reason)
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assert_nothing_left()

    @online
    async def test_the_same_frames_end_a_polling_session(self):
        for what, frame in self.FRAMES.items():
            with self.subTest(what):
                sid = await self.open_polling()
                await self.post(sid, "40")
                self.assertEqual((await self.post(sid, frame))[0], 400)
                self.assertEqual((await self.get(sid))[0], 400)
        self.assert_nothing_left()

    @online
    async def test_packets_before_connect_close_the_connection(self):
        for frame in ('42["message"]', "430[]", "41", '42/custom,["message"]', '451-["message"]'):
            with self.subTest(frame):
                client = await self.open_websocket()
                await client.send_str(frame)
                self.assertEqual(await self.closed(client), (1002, "a packet before CONNECT"))
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()

    @online
    async def test_a_second_connect_closes_the_connection(self):
        client = await self.join()
        await client.send_str("40")
        self.assertEqual((await self.closed(client))[0], 1002)

    @online
    async def test_attachments_out_of_place_close_the_connection(self):
        one = '451-["message",{"_placeholder":true,"num":%s}]'
        cases = (
            [b"x"],
            [one % 0, '42["message"]'],
            [one % 1, b"x"],
            [one % -1, b"x"],
            [one % '"0"', b"x"],
            [one % "true", b"x"],
        )
        for frames in cases:
            with self.subTest(frames):
                client = await self.join()
                for frame in frames:
                    await (client.send_str(frame) if isinstance(frame, str) else client.send_bytes(frame))
                self.assertEqual((await self.closed(client))[0], 1002)

    @online
    async def test_namespaces_are_counted(self):
        self.server.namespaces = "*"
        client = await self.open_websocket()
        for number in range(100):
            await client.send_str(f"40/{number},")
            await client.send_str(f"41/{number},")
        self.assertEqual((await self.closed(client))[0], 1002)
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


class NoAttachmentsTest(SocketTest):
    options = {"max_attachments": 0}

    @online
    async def test_binary_packets_can_be_refused_altogether(self):
        for frame in ('451-["message",{"_placeholder":true,"num":0}]', '461-1[{"_placeholder":true,"num":0}]'):
            client = await self.join()
            await client.send_str(frame)
            self.assertEqual((await self.closed(client))[0], 1009)


class ConnectTimeoutTest(SocketTest):
    """A client has 45 seconds to enter a namespace, on a clock that the test moves."""

    options = {"ping_interval": 25, "ping_timeout": 200}

    def make_server(self, **options):
        self.timers = FakeTimers()
        return super().make_server(timers=self.timers, **options)

    async def join(self):
        joining = asyncio.ensure_future(super().join())
        await self.until(lambda: joining.done() or self.timers.advance(0.01))
        return await joining

    async def answer(self, client, start):
        """The next packet that begins so."""
        while not (text := await client.receive_str()).startswith(start):
            pass
        return text

    @online
    async def test_a_client_that_never_connects_is_disconnected_though_it_answers_pings(self):
        client = await self.open_websocket()
        self.timers.advance(25)
        await self.answer(client, "2")
        await client.send_str("3")
        self.timers.advance(19.9)
        self.assertEqual(len(self.sockets), 1)
        self.timers.advance(0.2)
        self.assertEqual((await self.closed(client))[0], 1008)
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assert_nothing_left()

    @online
    async def test_a_polling_client_that_never_connects_is_disconnected(self):
        sid = await self.open_polling()
        self.timers.advance(44)
        self.assertIn(sid, self.sockets)
        self.timers.advance(1)
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()

    @online
    async def test_a_client_that_has_left_its_last_namespace_is_disconnected(self):
        client = await self.join()
        self.timers.advance(44)
        await client.send_str("41")
        await self.until(lambda: not self.members)
        self.timers.advance(44)
        self.assertEqual(len(self.sockets), 1)
        self.timers.advance(1)
        self.assertEqual((await self.closed(client))[0], 1008)

    @online
    async def test_trying_again_buys_no_time(self):
        client = await self.open_websocket()
        self.timers.advance(25)
        await client.send_str("3")
        self.timers.advance(19.8)
        await client.send_str("40/unknown")
        await self.answer(client, "44/unknown")
        self.timers.advance(0.2)
        self.assertEqual((await self.closed(client))[0], 1008)

    @online
    async def test_a_handler_that_takes_long_is_waited_for(self):
        gate = asyncio.Event()

        @self.server.event
        async def connect(sid, environ):
            await gate.wait()

        client = await self.open_websocket()
        await client.send_str("40")
        await self.until(lambda: self.members)
        self.timers.advance(44.9)
        self.timers.advance(0.2)
        gate.set()
        self.assertTrue(await self.answer(client, "40{"))


class RefusedTest(SocketTest):
    def make_server(self, **options):
        self.timers = FakeTimers()
        return super().make_server(timers=self.timers, **options)

    async def join(self):
        """A connected client, to whom events are sent without delay."""
        joining = asyncio.ensure_future(super().join())
        await self.until(lambda: joining.done() or self.timers.advance(0.01))
        return await joining

    @online
    async def test_a_refused_client_that_stays_is_disconnected_within_a_second(self):
        self.server.on("connect", lambda sid, environ, auth=None: False)
        client = await self.open_websocket()
        await client.send_str("40")
        await client.receive_str()
        self.timers.advance(HANG_UP_TIME - 0.1)
        self.assertEqual(len(self.sockets), 1)
        self.timers.advance(0.2)
        self.assertEqual((await self.closed(client))[0], 1008)
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assert_nothing_left()

    @online
    async def test_a_client_that_the_server_disconnects_is_disconnected_too(self):
        client = await self.join()
        await self.server.disconnect(client.sid)
        self.assertEqual(await client.receive_str(), "41")
        self.timers.advance(HANG_UP_TIME)
        self.assertEqual((await self.closed(client))[0], 1008)

    @online
    async def test_a_refused_client_may_try_again_and_gets_each_message_once(self):
        verdicts = [False, False, None]
        self.server.on("connect", lambda sid, environ, auth=None: verdicts.pop(0))
        client = await self.open_websocket()
        for _ in range(3):
            await client.send_str("40")
            answer = await self.beside_pings(client)
        self.assertTrue(answer.startswith("40"))
        self.timers.advance(SETTLE_TIME)
        await self.server.emit("news")
        await self.server.emit("end")
        self.assertEqual([await self.beside_pings(client) for _ in range(2)], ['42["news"]', '42["end"]'])

    @online
    async def test_a_thousand_refusals_leave_nothing(self):
        self.server.on("connect", lambda sid, environ, auth=None: False)
        client = await self.open_websocket()
        for _ in range(1000):
            await client.send_str("40")
            while not (await client.receive_str()).startswith("44"):
                pass
        self.assertEqual(self.server.manager.namespaces, {})
        await client.close()
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assert_nothing_left()

    @online
    async def test_a_refused_polling_client_can_read_why(self):
        self.server.on("connect", lambda sid, environ, auth=None: False)
        sid = await self.open_polling()
        await self.post(sid, "40")
        self.assertEqual(await self.get(sid), (200, '44{"message":"Connection rejected by server"}'))
        self.timers.advance(HANG_UP_TIME)
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


class BrokenHandlersTest(SocketTest):
    options = {"async_handlers": False}

    @online
    async def test_a_connect_handler_that_fails_refuses_and_leaves_nothing(self):
        @self.server.event
        async def connect(sid, environ, auth):
            await self.server.enter_room(sid, "room")
            await self.server.emit("never", to=sid)
            raise LookupError("secret")

        client = await self.open_websocket()
        await client.send_str("40")
        self.assertEqual(await client.receive_str(), '44{"message":"Connection refused by server"}')
        self.expected_errors = ["connect handler error"]
        self.assertEqual(self.server.manager.namespaces, {})
        await client.close()
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()

    @online
    async def test_a_disconnect_handler_that_fails_leaves_nothing(self):
        for namespace in self.namespaces:
            self.server.on("disconnect", lambda sid, reason: {}[sid], namespace=namespace)
        client = await self.join()
        await client.send_str("40/custom")
        await client.receive_str()
        await client.receive_str()
        await self.server.enter_room(client.sid, "room")
        await client.close()
        await self.until(lambda: not self.sockets)
        self.expected_errors = ["disconnect handler error"] * 2
        self.assert_nothing_left()

    @online
    async def test_a_client_that_leaves_while_its_handler_decides_is_reported_as_gone(self):
        gate, gone = asyncio.Event(), []

        @self.server.event
        async def connect(sid, environ, auth):
            await gate.wait()

        self.server.on("disconnect", lambda sid, reason: gone.append(reason))
        sid = await self.open_polling()
        post = asyncio.ensure_future(self.post(sid, "40"))
        await self.until(lambda: self.members)
        self.assertEqual((await self.post(sid, "4x"))[0], 400)  # two requests at once end the session
        gate.set()
        await post
        self.assertEqual(gone, ["transport error"])
        self.assert_nothing_left()

    @online
    async def test_a_socket_may_be_closed_while_the_handler_decides(self):
        @self.server.event
        async def connect(sid, environ, auth):
            self.server.socket(sid).close("not today")

        client = await self.open_websocket()
        await client.send_str("40")
        self.assertEqual(await client.receive_str(), '44{"message":"not today"}')
        await client.close()
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


class StalledTest(SocketTest):
    options = {"async_handlers": False}

    @online
    async def test_a_stalled_reader_is_cut_off_alone(self):
        await self.stall("40")
        await self.until(lambda: self.members)
        (stalled,) = self.members
        client = await self.join()
        while stalled in self.members:
            await self.server.emit("news", "x" * 100_000)
            self.assertEqual(len(await client.receive_str()), len('42["news",""]') + 100_000)
        self.assertEqual(list(self.members), [client.sid])

    @online
    async def test_a_reader_that_resumes_below_the_limit_loses_nothing(self):
        client = await self.join()  # which reads no further than its own small buffer
        queue = next(iter(self.sockets.values())).transport
        number = 0
        while queue.pending < 700_000:
            await self.server.emit("news", (number, "x" * 20_000))
            await asyncio.sleep(0)
            number += 1
        await client.send_str('421["message-with-ack"]')
        got = [await client.receive_str() for _ in range(number + 1)]
        self.assertEqual([news.split(",")[1] for news in got[:-1]], [str(n) for n in range(number)])
        self.assertEqual(got[-1], "431[]")

    @online
    async def test_disconnecting_a_stalled_client_returns_at_once(self):
        await self.stall("40")
        await self.until(lambda: self.members)
        (stalled,) = self.members
        await self.server.emit("news", "x" * 900_000)
        await self.server.disconnect(stalled)
        self.assertEqual(self.members, {})


class CyclesTest(SocketTest):
    """A closed connection leaves no reference cycles: the garbage collector runs rarely, and would find them late."""

    def setUp(self):
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        super().setUp()

    def kept(self):
        """What the server still has in memory of any connection."""
        kinds = (Client, Socket, EngineSession, WebSocket)
        return [type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds)]

    @online
    async def test_a_websocket_client_leaves_none_however_it_ends(self):
        for goodbye in ("41", "1", "4abc", None):
            client = await self.join()
            if goodbye:
                await client.send_str(goodbye)
            await client.close()
            await self.until(lambda: not self.kept())

    @online
    async def test_a_polling_client_leaves_none(self):
        sid = await self.open_polling()
        await self.post(sid, "40")
        await self.post(sid, "1")
        await self.until(lambda: not self.kept())


class PollingStalledTest(SocketTest):
    options = {"max_queue": 10_000}

    @online
    async def test_a_polling_client_that_never_fetches_is_cut_off_at_the_limit(self):
        sid = await self.open_polling()
        await self.post(sid, "40")
        for _ in range(11):
            await self.server.emit("news", "x" * 1000)
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


del SocketTest  # a base, not a test
