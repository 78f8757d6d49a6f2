"""Every way in which HTTP through the ASGI bridge ends early: applications that fail, clients that leave or stall."""

import asyncio

from tornado.testing import gen_test

from tests.net.asgi.bridge import GET, TIMEOUT, BridgeTest, respond
from webchat.net.asgi.types import Disconnected
from webchat.net.outbox import Outbox


class FailureTest(BridgeTest):
    @gen_test
    async def test_an_exception_before_the_response_is_a_500(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            raise ZeroDivisionError

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        with self.assertLogs("webchat.net.asgi.http", "ERROR") as logs:
            self.assertIn("500", (await client.response())[0])
        self.assertIn("ZeroDivisionError", logs.output[0])

    @gen_test
    async def test_an_exception_in_the_middle_of_the_response_breaks_it_off(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            raise ZeroDivisionError

        self.asgi = app
        with self.assertLogs("webchat.net.asgi.http", "ERROR"):
            answer = await self.exchange(GET)
        self.assertTrue(answer.endswith(b"5\r\nbegun\r\n"), answer)

    @gen_test
    async def test_no_response_at_all_is_a_500(self):
        async def app(scope, receive, send):
            pass

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        self.assertIn("500", (await client.response())[0])

    @gen_test
    async def test_half_a_response_is_broken_off(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half"})

        self.asgi = app
        with self.assertLogs("webchat.net.asgi.http", "ERROR"):
            answer = await self.exchange(GET)
        self.assertTrue(answer.endswith(b"half"))

    @gen_test
    async def test_events_out_of_order_are_refused(self):
        errors = []

        async def app(scope, receive, send):
            for kind in ("body", "start", "start", "body", "body"):
                try:
                    await send({"type": f"http.response.{kind}", "status": 200})
                except RuntimeError as error:
                    errors.append(str(error))

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        await client.response()
        self.assertEqual(errors, [f"http.response.{kind} out of order" for kind in ("body", "start", "body")])

    @gen_test
    async def test_a_header_with_a_line_break_is_a_500(self):
        self.asgi = lambda scope, receive, send: respond(send, headers=[(b"x-one", b"1\r\nx-two: 2")])
        client = await self.connect()
        client.send(GET)
        with self.assertLogs("webchat.net.asgi.http", "ERROR"):
            status, headers, _ = await client.response()
        self.assertIn("500", status)
        self.assertNotIn("two", headers)


class DisconnectTest(BridgeTest):
    @gen_test
    async def test_a_closed_poll_request_ends_its_wait(self):
        waiting, events = asyncio.Event(), []

        async def app(scope, receive, send):
            await receive()
            waiting.set()
            events.append(await receive())
            try:
                await respond(send)
            except Disconnected as error:
                events.append(error)
                raise

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        await asyncio.wait_for(waiting.wait(), TIMEOUT)
        client.close()
        await self.until(lambda: len(events) == 2)
        self.assertEqual(events[0], {"type": "http.disconnect"})
        self.assertIsInstance(events[1], OSError)

    @gen_test
    async def test_a_client_that_goes_away_ends_an_application_that_waits_to_send(self):
        ended = asyncio.Event()

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})
            except OSError:
                ended.set()
                raise

        self.asgi = app
        client = await self.connect()
        client.send(GET)
        server = await self.server_stream()
        await self.until(server.writing)
        client.close()
        await asyncio.wait_for(ended.wait(), TIMEOUT)


class SlowReaderTest(BridgeTest):
    """A client that does not read its response is dropped; one that reads slowly is not."""

    def get_app(self):
        self.timers = []
        self.options = {"outbox": Outbox(call_later=lambda _, callback: self.timers.append(callback))}
        return super().get_app()

    async def asgi(self, scope, receive, send):
        await respond(send, b"x" * (16 << 20))

    async def stalled(self):
        client = await self.connect()
        client.send(GET)
        stream = await self.server_stream()
        await self.until(lambda: self.timers)
        return client, stream

    @gen_test
    async def test_nothing_taken_in_time_closes_the_connection(self):
        _, stream = await self.stalled()
        self.timers.pop()()
        self.assertTrue(stream.closed())
        self.assertEqual(self.timers, [])

    @gen_test
    async def test_something_taken_starts_the_time_anew(self):
        client, stream = await self.stalled()
        await client.read(8 << 20)  # more than the kernel holds
        self.timers.pop()()
        self.assertFalse(stream.closed())
        self.timers.pop()()
        self.assertTrue(stream.closed())

    @gen_test
    async def test_a_response_that_was_taken_leaves_no_timer_behind(self):
        client, stream = await self.stalled()
        await client.response()
        self.timers.pop()()
        self.assertEqual((self.timers, stream.closed()), ([], False))
