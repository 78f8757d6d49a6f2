"""The Engine.IO server, protocol revision 4, over real sockets: handshakes and long-polling."""

import asyncio
import json
import logging

import aiohttp
import pytest

from tests.net.fake_timers import FakeTimers
from tests.net.realtime import FAST, EngineTest, online
from webchat.net.addresses import TOO_MANY, AddressLimit
from webchat.net.engineio import AsyncServer
from webchat.net.engineio.server import LAST_FRAMES_TIME
from webchat.net.engineio.session import RETURN_TIME
from webchat.net.http_server import HTTPServer


class HandshakeTest(EngineTest):
    options = FAST | {"max_http_buffer_size": 1e6}

    @online
    async def test_polling_opens_a_session_whose_times_are_milliseconds(self):
        status, body = await self.get()
        handshake = json.loads(body[1:])
        self.assertEqual((status, body[0]), (200, "0"))
        self.assertEqual(set(handshake), {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"})
        self.assertEqual(handshake["upgrades"], ["websocket"])
        self.assertEqual((handshake["pingInterval"], handshake["pingTimeout"]), (300, 200))
        self.assertIn('"maxPayload":1000000}', body)

    @online
    async def test_a_websocket_opens_a_session_that_has_nothing_to_upgrade_to(self):
        await self.open_websocket()
        self.assertEqual(self.handshake["upgrades"], [])
        self.assertEqual((self.handshake["pingInterval"], self.handshake["pingTimeout"]), (300, 200))

    @online
    async def test_an_unknown_version_or_transport_is_a_bad_request(self):
        for query in ({"eio": None}, {"eio": "abc"}, {"transport": None}, {"transport": "abc"}):
            with self.subTest(query):
                self.assertEqual((await self.get(**query))[0], 400)

    @online
    async def test_a_websocket_of_an_unknown_version_or_transport_is_not_accepted(self):
        for query in ({"eio": None}, {"eio": "abc"}):
            with self.subTest(query), self.assertRaises(aiohttp.WSServerHandshakeError) as caught:
                await self.websocket(**query)
            self.assertEqual(caught.exception.status, 400)
        with self.assertRaises(aiohttp.WSServerHandshakeError):
            await self.http.ws_connect(self.url("abc"))

    @online
    async def test_an_older_client_is_told_which_version_it_speaks(self):
        status, body = await self.get(eio="3")
        answer = json.loads(body)
        self.assertEqual((status, answer["code"]), (400, 5))
        self.assertIn("version 3", answer["message"])
        self.assertIn("Socket.IO 2", answer["message"])

    @online
    async def test_an_error_is_json_that_must_not_be_cached(self):
        async with self.http.get(self.url(eio="3")) as response:
            self.assertEqual(response.headers["Content-Type"], "application/json")
            self.assertEqual(response.headers["Cache-Control"], "no-store")

    @online
    async def test_options_are_answered(self):
        async with self.http.options(self.url()) as response:
            self.assertEqual((response.status, self.sockets), (200, {}))

    @online
    async def test_a_method_that_opens_no_session_is_a_bad_request(self):
        for method in ("POST", "PUT", "DELETE"):
            async with self.http.request(method, self.url()) as response:
                self.assertEqual(response.status, 400)

    @online
    async def test_jsonp_is_refused(self):
        self.assertEqual((await self.get(j="0"))[0], 400)
        self.assertEqual(self.sockets, {})

    @online
    async def test_an_unknown_sid_is_a_bad_request(self):
        self.assertEqual((await self.get("nobody"))[0], 400)
        self.assertEqual((await self.post("nobody", "4x"))[0], 400)
        with self.assertRaises(aiohttp.WSServerHandshakeError):
            await self.websocket("nobody")

    @online
    async def test_a_transport_that_does_not_match_the_request_is_a_bad_request(self):
        self.assertEqual((await self.get(transport="websocket"))[0], 400)
        with self.assertRaises(aiohttp.WSServerHandshakeError):
            await self.http.ws_connect(self.url("polling"))

    @online
    async def test_a_handler_that_refuses_leaves_no_session(self):
        self.server.on("connect", lambda sid, environ: False)
        self.assertEqual((await self.get())[0], 401)
        with self.assertRaises(aiohttp.WSServerHandshakeError) as caught:
            await self.websocket()
        self.assertEqual((caught.exception.status, self.sockets), (401, {}))

    @online
    async def test_a_handler_that_fails_leaves_no_session_and_one_entry_in_the_log(self):
        def fail(sid, environ):
            raise LookupError

        self.server.on("connect", fail)
        self.assertEqual((await self.get())[0], 401)
        self.expected_errors = ["connect handler error"]
        self.assertEqual(self.sockets, {})

    @online
    async def test_handlers_learn_the_peers_address(self):
        seen = []
        self.server.on("connect", lambda sid, environ: seen.append(environ["REMOTE_ADDR"]))
        await self.get()
        self.assertEqual(seen, ["127.0.0.1"])


class OriginTest(EngineTest):
    @online
    async def test_a_page_from_elsewhere_is_refused_before_the_upgrade(self):
        with self.assertRaises(aiohttp.WSServerHandshakeError) as caught:
            await self.websocket(headers={"Origin": "http://evil.example"})
        self.assertEqual((caught.exception.status, self.sockets), (403, {}))
        self.assertEqual((await self.get(headers={"Origin": "null"}))[0], 403)

    @online
    async def test_a_page_of_our_own_is_let_in(self):
        await self.websocket(headers={"Origin": f"http://127.0.0.1:{self.get_http_port()}"})


class CookieTest(EngineTest):
    options = {"cookie": "io"}

    @online
    async def test_the_session_can_be_named_in_a_cookie(self):
        async with self.http.get(self.url()) as response:
            self.assertEqual(response.cookies["io"].value, json.loads((await response.text())[1:])["sid"])


class PollingTest(EngineTest):
    @online
    async def test_packets_are_taken_and_given(self):
        for body in ("4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="):
            sid = await self.open_polling()
            self.assertEqual(await self.post(sid, body), (200, "ok"))
            self.assertEqual(await self.get(sid), (200, body))

    @online
    async def test_any_number_of_packets_fits_in_one_request(self):
        sid = await self.open_polling()
        body = "\x1e".join(f"4m{number}" for number in range(500))
        self.assertEqual(await self.post(sid, body), (200, "ok"))
        self.assertEqual(await self.get(sid), (200, body))

    @online
    async def test_a_chunked_request_is_read(self):
        async def chunks():
            yield b"4hel"
            yield b"lo"

        sid = await self.open_polling()
        self.assertEqual(await self.post(sid, chunks()), (200, "ok"))
        self.assertEqual(await self.get(sid), (200, "4hello"))

    @online
    async def test_a_malformed_packet_ends_the_session(self):
        for body in (b"abc", b"", b"4ok\x1e\x1e", b"b!!", b"b\xc3\xa9", b"bYQ", b"b\xff", b"4\xff", b"2",
                     b"5"):
            with self.subTest(body):
                sid = await self.open_polling()
                self.assertEqual((await self.post(sid, body))[0], 400)
                self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual(self.sockets, {})

    @online
    async def test_a_second_poll_ends_the_session_and_the_first_one(self):
        sid = await self.open_polling()
        first = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual(await first, (200, "1"))
        self.assertEqual((await self.get(sid))[0], 400)

    @online
    async def test_the_clients_close_packet_ends_its_poll(self):
        sid = await self.open_polling()
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        self.assertEqual((await self.post(sid, "1"))[0], 200)
        self.assertEqual(await poll, (200, "6"))
        self.assertEqual((await self.get(sid))[0], 400)
        self.assertEqual(self.reasons, ["client disconnect"])

    @online
    async def test_a_client_that_is_disconnected_between_polls_can_read_what_was_sent_before(self):
        sid = await self.open_polling()
        await self.server.send(sid, "goodbye")
        await self.server.disconnect(sid)
        self.assertEqual(self.sockets, {})
        self.assertEqual(await self.get(sid), (200, "4goodbye\x1e1"))
        self.assertEqual((await self.get(sid))[0], 400)

    @online
    async def test_a_long_answer_is_compressed_as_the_client_accepts_it(self):
        sid = await self.open_polling()
        for accepted, coding in (("gzip", "gzip"), ("br, deflate;q=0.5", "deflate"), ("br", None)):
            await self.server.send(sid, "x" * 2000)
            async with self.http.get(self.url(sid=sid), headers={"Accept-Encoding": accepted}) as response:
                self.assertEqual(response.headers.get("Content-Encoding"), coding)
                self.assertEqual(await response.text(), "4" + "x" * 2000)

    @online
    async def test_the_last_frames_are_not_kept_for_long(self):
        timers = self.server.timers = FakeTimers()
        sid = await self.open_polling()
        await self.server.disconnect(sid)
        timers.advance(LAST_FRAMES_TIME)
        self.assertEqual((await self.get(sid))[0], 400)


class HalfClosedTest(EngineTest):
    """A client that ends its half of the connection on which it polls: it may wait for the answer, or be gone."""

    def get_http_server(self):
        return HTTPServer(self._app)

    async def poll_and_end(self, sid):
        """Poll, and end the input when the server waits; returns the status line and the body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
        writer.write(f"GET {self.url(sid=sid)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        writer.write_eof()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return head.partition(b"\r\n")[0], body

    @online
    async def test_its_poll_is_answered_at_once_and_the_next_one_goes_on(self):
        timers = self.server.timers = FakeTimers()
        sid = await self.open_polling()
        self.assertEqual(await self.poll_and_end(sid), (b"HTTP/1.1 200 OK", b"6"))
        timers.advance(RETURN_TIME - 0.1)
        await self.server.send(sid, "hello")
        self.assertEqual(await self.get(sid), (200, "4hello"))
        timers.advance(RETURN_TIME)
        await self.server.send(sid, "still here")
        self.assertEqual(await self.get(sid), (200, "4still here"))

    @online
    async def test_a_packet_from_it_shows_that_it_is_there(self):
        timers = self.server.timers = FakeTimers()
        sid = await self.open_polling()
        await self.poll_and_end(sid)
        self.assertEqual(await self.post(sid, "4hello"), (200, "ok"))
        timers.advance(RETURN_TIME)
        self.assertEqual(await self.get(sid), (200, "4hello"))

    @online
    async def test_if_it_does_not_come_back_the_session_ends(self):
        timers = self.server.timers = FakeTimers()
        sid = await self.open_polling()
        await self.poll_and_end(sid)
        timers.advance(RETURN_TIME)
        await self.until(lambda: not self.sockets)
        self.assertEqual(self.reasons, ["transport error"])

    @online
    async def test_a_session_that_ends_meanwhile_ends_once(self):
        timers = self.server.timers = FakeTimers()
        sid = await self.open_polling()
        await self.poll_and_end(sid)
        await self.server.disconnect(sid)
        timers.advance(RETURN_TIME)
        self.assertEqual(self.reasons, ["server disconnect"])


class LimitsTest(EngineTest):
    options = {"max_http_buffer_size": 1000, "max_queue": 5000}

    @online
    async def test_a_poll_that_is_hung_up_ends_the_session_and_its_tasks(self):
        sid = await self.open_polling()
        poll = asyncio.ensure_future(self.get(sid))
        await self.until(lambda: self.sockets[sid].transport.is_polled)
        poll.cancel()
        await self.until(lambda: not self.sockets and not self.tasks())
        self.assertEqual(self.reasons, ["transport error"])
        self.assertEqual((await self.get(sid))[0], 400)

    @online
    async def test_an_oversized_request_is_refused_and_leaves_no_task(self):
        async def chunks():
            for _ in range(20):
                yield b"4" * 100

        for body in ("4" + "x" * 1000, chunks()):
            sid = await self.open_polling()
            self.assertEqual((await self.post(sid, body))[0], 413)
            await self.until(lambda: not self.sockets and not self.tasks())

    @online
    async def test_an_oversized_frame_closes_with_1009(self):
        client = await self.open_websocket()
        await client.send_str("4" + "x" * 1000)
        self.assertEqual((await self.closed(client))[0], 1009)
        await self.until(lambda: not self.sockets)

    @online
    async def test_a_polling_client_that_never_fetches_is_cut_off_at_the_limit(self):
        sid = await self.open_polling()
        for _ in range(6):
            await self.server.send(sid, "x" * 999)
        await self.until(lambda: not self.sockets)
        self.assertEqual(self.reasons, ["transport error"])


class AdmissionTest(EngineTest):
    """The places of an address, of which there are two."""

    def make_server(self, **options):
        self.limit = AddressLimit(2, exempt=lambda address: False)
        return super().make_server(**FAST, admit=lambda environ: self.limit.take(environ["REMOTE_ADDR"]))

    @online
    async def test_a_session_too_many_is_refused_until_another_has_ended(self):
        sid, _ = await self.open_polling(), await self.open_polling()
        status, body = await self.get()
        self.assertEqual((status, json.loads(body)), (429, {"code": 4, "message": TOO_MANY}))
        self.assertEqual(len(self.sockets), 2)
        await self.post(sid, "1")
        await self.open_polling()

    @online
    async def test_a_session_on_a_websocket_needs_no_place_besides_its_connections(self):
        for _ in range(3):
            await self.open_websocket()
        self.assertEqual(len(self.limit), 0)

    @online
    async def test_an_upgraded_session_keeps_its_place_until_it_ends(self):
        client = await self.websocket(sid := await self.open_polling())
        await client.send_str("2probe")
        self.assertEqual(await client.receive_str(), "3probe")
        await client.send_str("5")
        await self.until(lambda: self.sockets[sid].upgraded)
        self.assertEqual(len(self.limit), 1)
        await client.close()
        await self.until(lambda: len(self.limit) == 0)

    @online
    async def test_a_session_that_the_application_refuses_leaves_no_place(self):
        self.server.on("connect", lambda sid, environ: False)
        self.assertEqual((await self.get())[0], 401)
        self.assertEqual(len(self.limit), 0)

    @online
    async def test_a_session_that_times_out_leaves_no_place(self):
        await self.open_polling()
        await self.until(lambda: not self.sockets)
        self.assertEqual(len(self.limit), 0)


class TestConstructor:
    def test_only_asgi_is_spoken(self):
        with pytest.raises(ValueError, match="ASGI"):
            AsyncServer(async_mode="tornado")

    def test_the_arguments_of_upstream_are_taken(self):
        server = AsyncServer("asgi", (25, 5), logger=logging.getLogger("test"), transports=["websocket"])
        assert (server.ping_interval, server.ping_interval_grace_period) == (25, 5)
        assert server.transports == ["websocket"]


del EngineTest  # a base, not a test
