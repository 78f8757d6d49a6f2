"""The Socket.IO server, seen from the application: handlers and serializers."""

import asyncio
import json

import engineio
import socketio

from tests.net.realtime import SocketTest, online
from webchat.net.socketio import AsyncServer


class HandlersTest(SocketTest):
    namespaces = ()
    options = {"async_handlers": False, "namespaces": "*"}

    @online
    async def test_events_are_handled_in_the_order_in_which_they_came(self):
        seen, gate = [], asyncio.Event()

        @self.server.event
        async def message(sid, number):
            if number == 0:
                await gate.wait()
            seen.append(number)

        client = await self.join()
        for number in range(5):
            await client.send_str(f'42["message",{number}]')
        gate.set()
        await self.until(lambda: len(seen) == 5)
        self.assertEqual(seen, list(range(5)))

    @online
    async def test_a_namespace_can_be_a_class(self):
        class Chat(socketio.AsyncNamespace):
            async def on_hello(self, sid, name):
                return f"hello {name}"

        self.server.register_namespace(Chat("/chat"))
        client = await self.join(namespace="/chat")
        await client.send_str('42/chat,7["hello","ada"]')
        self.assertEqual(await client.receive_str(), '43/chat,7["hello ada"]')

    @online
    async def test_an_event_nobody_handles_is_not_acknowledged(self):
        client = await self.join()
        await client.send_str('421["unknown"]')
        self.server.on("known", lambda sid: None)
        await client.send_str('422["known"]')
        self.assertEqual(await client.receive_str(), "432[]")

    @online
    async def test_a_handler_that_fails_costs_one_log_entry_and_not_the_connection(self):
        for asynchronous, message in ((False, "message handler error"), (True, "event handler error")):
            self.server.async_handlers = asynchronous
            self.server.on("fail", lambda sid: 1 / 0)
            self.server.on("work", lambda sid: "done")
            client = await self.join()
            await client.send_str('42["fail"]')
            await client.send_str('421["work"]')
            self.assertEqual(await client.receive_str(), '431["done"]')
            self.expected_errors.append(message)

    @online
    async def test_a_handler_that_takes_no_auth_is_called_without(self):
        self.server.on("connect", lambda sid, environ: None)
        await self.join()

    @online
    async def test_handlers_may_refuse_with_reasons(self):
        refusals = (
            (socketio.exceptions.ConnectionRefusedError("no", {"code": "x"}), '{"message":"no","data":{"code":"x"}}'),
            (ConnectionRefusedError("no", {"code": "x"}), '{"message":"no","data":{"code":"x"}}'),
            (ConnectionRefusedError(111, "Connect call failed"), '{"message":"Connection refused by server"}'),
            (None, '{"message":"Connection rejected by server"}'),
        )
        for error, answer in refusals:

            def connect(sid, environ, auth, error=error):
                if error:
                    raise error
                return False

            with self.subTest(error):
                self.server.on("connect", connect)
                client = await self.open_websocket()
                await client.send_str("40")
                self.assertEqual(await client.receive_str(), "44" + answer)


class AlwaysConnectTest(SocketTest):
    options = {"always_connect": True}
    namespaces = ()

    @online
    async def test_a_refusal_follows_the_confirmation(self):
        self.server.on("connect", lambda sid, environ, auth: False)
        client = await self.open_websocket()
        await client.send_str("40")
        self.assertTrue((await client.receive_str()).startswith("40{"))
        self.assertEqual(await client.receive_str(), '41{"message":"Connection rejected by server"}')
        await self.closed(client)
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


class Reversed(socketio.packet.Packet):
    """A serializer for the test: the default one's text, backwards and as bytes."""

    uses_binary_events = False

    def encode(self):
        return super().encode()[::-1].encode()

    def decode(self, encoded_packet):
        return super().decode(encoded_packet.decode()[::-1])


class SerializerTest(SocketTest):
    options = {"serializer": Reversed}

    @online
    async def test_another_serializer_works_and_its_malformed_packets_end_the_session(self):
        client = await self.open_websocket()
        await client.send_bytes(b"0")
        self.assertEqual((await client.receive_bytes())[-1:], b"0")
        await client.receive_bytes()
        await client.send_bytes(b'2["message",1]'[::-1])
        self.assertEqual((await client.receive_bytes())[::-1], b'2["message-back",1]')
        await client.send_bytes(b"\xff")
        self.assertEqual((await self.closed(client))[0], 1002)


class TestJson:
    def test_a_json_module_of_the_application_is_used(self):
        class Loud:
            loads = staticmethod(json.loads)

            @staticmethod
            def dumps(data, **options):
                return json.dumps(data, **options).upper()

        before = socketio.packet.Packet.json
        try:
            assert AsyncServer(json=Loud).frame("a") == b'\x81\x0742["A"]'
        finally:
            socketio.packet.Packet.json = engineio.packet.Packet.json = before


del SocketTest  # a base, not a test
