"""The Engine.IO server, protocol revision 4, over real sockets: WebSockets, the heartbeat and the upgrade."""

import asyncio

from tests.net.fake_timers import FakeTimers
from tests.net.realtime import TIMEOUT, EngineTest, online
from webchat.net.engineio.session import UPGRADE_POLL_TIME


class WebSocketTest(EngineTest):
    @online
    async def test_text_and_binary_packets_are_taken_and_given(self):
        client = await self.open_websocket()
        await client.send_str("4hello")
        self.assertEqual(await client.receive_str(), "4hello")
        await client.send_bytes(bytes([1, 2, 3, 4]))
        self.assertEqual(await client.receive_bytes(), bytes([1, 2, 3, 4]))

    @online
    async def test_a_malformed_packet_closes_with_a_reason(self):
        for packet in ("abc", "", "2", "5", "0", "7"):
            with self.subTest(packet):
                client = await self.open_websocket()
                await client.send_str(packet)
                self.assertEqual(await self.closed(client), (1002, "not an Engine.IO packet that clients send"))
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assertEqual(set(self.reasons), {"transport error"})

    @online
    async def test_the_clients_close_packet_closes(self):
        client = await self.open_websocket()
        await client.send_str("1")
        await self.closed(client)
        self.assertEqual(self.reasons, ["client disconnect"])

    @online
    async def test_a_client_that_is_lost_leaves_nothing(self):
        bare = await self.stall()
        await self.until(lambda: self.sockets)
        bare.close()
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assertEqual(self.reasons, ["transport close"])

    @online
    async def test_a_handler_that_fails_costs_one_log_entry_and_not_the_session(self):
        self.server.async_handlers = False
        self.server.on("message", lambda sid, data: 1 / 0)
        client = await self.open_websocket()
        await client.send_str("4x")
        await self.until(lambda: self.records)
        self.expected_errors = ["message handler error"]
        self.assertEqual(len(self.sockets), 1)

    @online
    async def test_json_messages_reach_handlers_decoded_and_numbers_do_not(self):
        seen = []
        self.server.async_handlers = False
        self.server.on("message", lambda sid, data: seen.append(data))
        client = await self.open_websocket()
        for packet in ('4{"a":1}', "45", "4" + "[" * 50_000):
            await client.send_str(packet)
        await self.until(lambda: len(seen) == 3)
        self.assertEqual(seen, [{"a": 1}, "5", "[" * 50_000])


class HeartbeatTest(EngineTest):
    """A ping every 25 seconds and 20 to answer it, on a clock that the test moves."""

    options = {"ping_interval": 25, "ping_timeout": 20}

    def make_server(self, **options):
        self.timers = FakeTimers()
        return super().make_server(timers=self.timers, **options)

    async def poll(self, sid):
        """A request that waits for packets."""
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        return poll

    @online
    async def test_polling_clients_are_pinged(self):
        sid = await self.open_polling()
        for _ in range(3):
            poll = await self.poll(sid)
            self.timers.advance(25)
            self.assertEqual(await poll, (200, "2"))
            self.assertEqual((await self.post(sid, "3"))[0], 200)
            self.timers.advance(15)

    @online
    async def test_websocket_clients_are_pinged(self):
        client = await self.open_websocket()
        for _ in range(3):
            self.timers.advance(25)
            self.assertEqual(await client.receive_str(), "2")
            await client.send_str("3")
            await client.send_str("4x")
            await client.receive_str()

    @online
    async def test_a_polling_client_that_does_not_answer_is_gone_at_the_end_of_its_time(self):
        sid = await self.open_polling()
        self.timers.advance(25 + 19.9)
        self.assertIn(sid, self.sockets)
        self.timers.advance(0.2)
        await self.until(lambda: not self.sockets)
        self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual(self.reasons, ["ping timeout"])

    @online
    async def test_a_poll_after_the_deadline_is_refused_even_if_the_timer_is_late(self):
        sid = await self.open_polling()
        self.timers.advance(25)
        self.timers.now += 20  # the timer has yet to go off
        self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual(self.reasons, ["ping timeout"])

    @online
    async def test_a_websocket_client_that_does_not_answer_is_closed(self):
        client = await self.open_websocket()
        self.timers.advance(45)
        self.assertEqual((await self.closed(client))[1], "ping timeout")
        await self.until(lambda: not self.sockets and not self.tasks())

    @online
    async def test_a_delay_of_the_server_does_not_cost_the_client_its_time_to_answer(self):
        sid = await self.open_polling()
        self.timers.stall(25 + 20)  # the ping leaves as late as its answer would be due
        self.timers.advance(9.9)
        self.assertIn(sid, self.sockets)
        self.timers.advance(0.2)
        await self.until(lambda: not self.sockets)

    @online
    async def test_a_pong_that_nobody_asked_for_buys_no_time(self):
        client = await self.open_websocket()
        self.timers.advance(10)
        await client.send_str("3")
        await client.send_str("4x")
        await client.receive_str()
        self.timers.advance(15)
        self.assertEqual(await client.receive_str(), "2")


class UpgradeTest(EngineTest):
    options = {"upgrade_timeout": 0.2}

    def make_server(self, **options):
        self.timers = FakeTimers()
        return super().make_server(timers=self.timers, **options)

    async def probe(self, sid):
        client = await self.websocket(sid)
        await client.send_str("2probe")
        self.assertEqual(await client.receive_str(), "3probe")
        return client

    @online
    async def test_the_websocket_takes_over_and_its_next_frame_is_data(self):
        sid = await self.open_polling()
        client = await self.probe(sid)
        await client.send_str("5")
        await client.send_str("4hello")
        self.assertEqual(await client.receive_str(), "4hello")
        self.assertEqual(self.server.transport(sid), "websocket")

    @online
    async def test_a_poll_that_waits_is_ended_by_the_probe(self):
        sid = await self.open_polling()
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        await self.probe(sid)
        self.assertEqual(await poll, (200, "6"))

    @online
    async def test_requests_after_the_upgrade_are_refused_and_the_websocket_goes_on(self):
        sid = await self.open_polling()
        client = await self.probe(sid)
        await client.send_str("5")
        self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual((await self.post(sid, "4x"))[0], 400)
        await client.send_str("4hello")
        self.assertEqual(await client.receive_str(), "4hello")

    @online
    async def test_a_second_websocket_is_closed_and_the_first_goes_on(self):
        sid = await self.open_polling()
        client = await self.probe(sid)
        for step in ("5", "4x"):
            await self.closed(await self.websocket(sid))
            await client.send_str(step)
        self.assertEqual(await client.receive_str(), "4x")

    @online
    async def test_what_is_sent_during_the_upgrade_arrives_once_and_in_order(self):
        sid = await self.open_polling()
        await self.server.send(sid, "a")
        client = await self.probe(sid)
        await self.server.send(sid, "b")
        self.assertEqual(await self.get(sid), (200, "4a\x1e4b"))
        await self.server.send(sid, "c")
        await client.send_str("5")
        await self.until(lambda: self.sockets[sid].upgraded)
        await self.server.send(sid, "d")
        self.assertEqual([await client.receive_str(), await client.receive_str()], ["4c", "4d"])

    @online
    async def test_a_proxy_that_swallows_the_frames_leaves_polling_that_works_and_does_not_spin(self):
        sid = await self.open_polling()
        client = await self.probe(sid)  # and then nothing
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        self.timers.advance(UPGRADE_POLL_TIME - 0.01)
        self.assertTrue(self.sockets[sid].transport.is_polled)
        self.timers.advance(0.02)
        self.assertEqual(await poll, (200, "6"))
        self.assertEqual(await self.post(sid, "4hello"), (200, "ok"))
        self.assertEqual(await self.get(sid), (200, "4hello"))
        await self.closed(client)
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        await self.post(sid, "4again")
        self.assertEqual(await poll, (200, "4again"))

    @online
    async def test_a_proxy_that_kills_the_websocket_leaves_polling_that_works(self):
        for frames in ((), ("2probe",), ("5",), ("4x",)):
            with self.subTest(frames):
                sid = await self.open_polling()
                client = await self.websocket(sid)
                for frame in frames:
                    await client.send_str(frame)
                await client.close()
                await self.until(lambda: not self.sockets[sid].upgrading)  # noqa: B023
                self.assertEqual(await self.post(sid, "4hello"), (200, "ok"))
                self.assertEqual(await self.get(sid), (200, "4hello"))

    @online
    async def test_a_session_that_ends_during_the_upgrade_takes_the_websocket_with_it(self):
        sid = await self.open_polling()
        self.server.upgrade_timeout = TIMEOUT
        client = await self.probe(sid)
        await self.server.disconnect(sid)
        self.assertEqual((await self.closed(client))[1], "server disconnect")
        await self.until(lambda: not self.tasks())


class StalledTest(EngineTest):
    @online
    async def test_disconnecting_a_client_that_does_not_read_returns_at_once(self):
        await self.stall()
        await self.until(lambda: self.sockets)
        (sid,) = self.sockets
        await self.server.send(sid, "x" * 900_000)
        await self.server.disconnect()
        self.assertEqual((self.sockets, self.reasons), ({}, ["server disconnect"]))

    @online
    async def test_a_client_that_does_not_read_is_cut_off_alone(self):
        await self.stall()
        await self.until(lambda: self.sockets)
        (stalled,) = self.sockets
        client = await self.open_websocket()
        while stalled in self.sockets:
            for sid in list(self.sockets):
                await self.server.send(sid, "x" * 100_000)
            self.assertEqual(len(await client.receive_str()), 100_001)
        self.assertEqual(list(self.sockets), [self.handshake["sid"]])


del EngineTest  # a base, not a test
