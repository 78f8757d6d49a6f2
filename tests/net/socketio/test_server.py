"""The Socket.IO server, protocol revision 5, over real sockets: what clients of the protocol see."""

import asyncio
import json

from tests.net.fake_timers import FakeTimers
from tests.net.realtime import SocketTest, online
from webchat.net.socketio.server import SETTLE_TIME


class ConnectTest(SocketTest):
    @online
    async def test_a_client_is_confirmed_before_the_handlers_first_event(self):
        for namespace, prefix in (("/", ""), ("/custom", "/custom,")):
            for auth in ("", '{"token":"123"}'):
                with self.subTest(namespace, auth=auth):
                    client = await self.open_websocket()
                    await client.send_str(f"40{prefix}{auth}")
                    confirmation = await client.receive_str()
                    self.assertTrue(confirmation.startswith(f"40{prefix}"))
                    self.assertEqual(list(json.loads(confirmation[2 + len(prefix):])), ["sid"])
                    self.assertEqual(await client.receive_str(), f'42{prefix}["auth",{auth or "{}"}]')

    @online
    async def test_the_first_event_follows_a_moment_later_so_that_it_does_not_share_the_confirmations_segment(self):
        timers = self.server.eio.timers = FakeTimers()
        client = await self.open_websocket()
        await client.send_str("40")
        self.assertTrue((await client.receive_str()).startswith("40"))
        event = asyncio.ensure_future(client.receive_str())
        timers.advance(SETTLE_TIME - 0.001)
        for _ in range(50):
            await asyncio.sleep(0)
        self.assertFalse(event.done())
        timers.advance(0.001)
        self.assertEqual(await event, '42["auth",{}]')

    @online
    async def test_an_unknown_namespace_is_refused(self):
        client = await self.open_websocket()
        await client.send_str("40/random")
        self.assertEqual(await client.receive_str(), '44/random,{"message":"Invalid namespace"}')

    @online
    async def test_a_query_in_the_namespace_is_dropped(self):
        client = await self.open_websocket()
        await client.send_str("40/custom?a=1,")
        self.assertTrue((await client.receive_str()).startswith("40/custom,"))

    @online
    async def test_a_client_may_leave_a_namespace_and_stay_in_another(self):
        client = await self.join()
        await client.send_str("40/custom")
        await client.receive_str()
        await client.receive_str()
        await client.send_str("41/custom")
        await client.send_str('42/custom,["message","too late"]')
        await client.send_str('42["message","message to main namespace"]')
        self.assertEqual(await client.receive_str(), '42["message-back","message to main namespace"]')

    @online
    async def test_an_emit_to_everyone_does_not_reach_a_client_that_is_not_confirmed(self):
        verdict = asyncio.Event()

        @self.server.event
        async def connect(sid, environ):
            await verdict.wait()

        client = await self.open_websocket()
        await client.send_str("40")
        await self.until(lambda: self.members)
        await self.server.emit("secret")
        verdict.set()
        await client.receive_str()
        await self.server.emit("news")
        self.assertEqual(await client.receive_str(), '42["news"]')


class BoundTest(SocketTest):
    options = {"max_queue": 10_000}

    @online
    async def test_what_is_sent_to_a_client_whose_handler_decides_is_bounded(self):
        reached = asyncio.Event()

        @self.server.event
        async def connect(sid, environ):
            for _ in range(12):
                await self.server.emit("early", "x" * 1000, to=sid)
            reached.set()
            await asyncio.Event().wait()

        client = await self.open_websocket()
        await client.send_str("40")
        await reached.wait()
        self.assertEqual((await self.closed(client))[1], "more than 10000 bytes are waiting for the connect handler")


class HeartbeatTest(SocketTest):
    options = {"ping_interval": 0.1}

    @online
    async def test_a_client_that_left_its_only_namespace_is_still_pinged_and_may_come_back(self):
        client = await self.join()
        await client.send_str("41")
        self.assertEqual(await client.receive_str(), "2")
        await client.send_str("3")
        await client.send_str("40")
        self.assertTrue((await self.beside_pings(client)).startswith("40{"))


class MessageTest(SocketTest):
    @online
    async def test_arguments_come_back(self):
        client = await self.join()
        await client.send_str('42["message",1,"2",{"3":[true]}]')
        self.assertEqual(await client.receive_str(), '42["message-back",1,"2",{"3":[true]}]')

    @online
    async def test_an_event_with_an_id_is_acknowledged(self):
        client = await self.join()
        await client.send_str('42456["message-with-ack",1,"2",{"3":[false]}]')
        self.assertEqual(await client.receive_str(), '43456[1,"2",{"3":[false]}]')

    @online
    async def test_binary_attachments_come_back_in_events_and_acknowledgements(self):
        client = await self.join()
        payload = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        for sent, answer in (('452-["message",', '452-["message-back",'), ('452-789["message-with-ack",', "462-789[")):
            await client.send_str(sent + payload)
            await client.send_bytes(bytes([1, 2, 3]))
            await client.send_bytes(bytes([4, 5, 6]))
            self.assertEqual(await client.receive_str(), answer + payload)
            self.assertEqual(await client.receive_bytes(), bytes([1, 2, 3]))
            self.assertEqual(await client.receive_bytes(), bytes([4, 5, 6]))

    @online
    async def test_polling_clients_get_attachments_in_base64(self):
        sid = await self.open_polling()
        await self.post(sid, "40")
        await self.get(sid)
        await self.post(sid, '451-["message",{"_placeholder":true,"num":0}]\x1ebAQID')
        self.assertEqual(await self.get(sid), (200, '451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID'))

    @online
    async def test_half_a_surrogate_pair_becomes_a_replacement_character(self):
        client = await self.join()
        await client.send_str(r'42["message","\ud83d!","\ud83d\ude00"]')
        self.assertEqual(await client.receive_str(), '42["message-back","\ufffd!","😀"]')


class SendTest(SocketTest):
    @online
    async def test_a_broadcast_arrives_at_websocket_and_polling_clients(self):
        client = await self.join()
        sid = await self.open_polling()
        await self.post(sid, "40")
        await self.get(sid)
        await self.server.emit("news", ("ü" * 200, b"\1"))
        text = '451-["news","' + "ü" * 200 + '",{"_placeholder":true,"num":0}]'
        self.assertEqual((await client.receive_str(), await client.receive_bytes()), (text, b"\1"))
        self.assertEqual(await self.get(sid), (200, text + "\x1ebAQ=="))

    @online
    async def test_rooms_hear_their_members_and_nobody_else(self):
        ada, bob, eve = [await self.join() for _ in range(3)]
        await self.server.enter_room(ada.sid, "room")
        await self.server.emit("first", room="room")
        await self.server.enter_room(bob.sid, "room")
        await self.server.emit("in", room="room", skip_sid=ada.sid)
        await self.server.leave_room(ada.sid, "room")
        await self.server.emit("gone", room="room")
        await self.server.emit("both", room=["room", ada.sid])
        await self.server.emit("all")
        got = [[(await client.receive_str())[4:-2] for _ in range(n)] for client, n in ((ada, 3), (bob, 4))]
        self.assertEqual(got, [["first", "both", "all"], ["in", "gone", "both", "all"]])
        self.assertEqual(await eve.receive_str(), '42["all"]')
        self.assertEqual(self.server.rooms(bob.sid), [bob.sid, "room"])
        await self.server.close_room("room")
        self.assertEqual(self.server.rooms(bob.sid), [bob.sid])

    @online
    async def test_rooms_are_for_those_who_are_connected(self):
        with self.assertRaises(ValueError):
            await self.server.enter_room("nobody", "room")
        client = await self.join()
        with self.assertRaises(ValueError):
            await self.server.enter_room("nobody", "room")
        await self.server.enter_room(client.sid, client.sid)
        await self.server.leave_room("nobody", "room")
        await self.server.leave_room(client.sid, "never entered")
        await self.server.close_room("never opened")
        self.assertEqual(self.server.rooms(client.sid), [client.sid])
        self.assertEqual(self.server.rooms("nobody"), [])
        await self.server.emit("nobody there", to="nobody")
        await self.server.emit("nobody there", namespace="/empty")

    @online
    async def test_a_callback_may_be_a_coroutine_and_everybody_asked_gets_an_id(self):
        clients, answers = [await self.join() for _ in range(2)], []

        async def answered(answer):
            answers.append(answer)

        await self.server.emit("question", callback=answered)
        for client in clients:
            self.assertEqual(await client.receive_str(), '421["question"]')
            await client.send_str(f'431["{client.sid}"]')
        await self.until(lambda: len(answers) == 2)
        self.assertEqual(set(answers), {client.sid for client in clients})

    @online
    async def test_acknowledgements_reach_the_callback_once(self):
        client = await self.join()
        answers = []
        await self.server.emit("question", to=client.sid, callback=lambda *answer: answers.append(answer))
        self.assertEqual(await client.receive_str(), '421["question"]')
        for ack in ("430[]", '431["yes",2]', '431["again"]', '4399["never asked"]'):
            await client.send_str(ack)
        await client.send_str('429["message-with-ack"]')
        await client.receive_str()
        self.assertEqual(answers, [("yes", 2)])

    @online
    async def test_call_returns_the_clients_answer(self):
        client = await self.join()
        call = asyncio.ensure_future(self.server.call("question", to=client.sid))
        await client.receive_str()
        await client.send_str('431["yes"]')
        self.assertEqual(await call, "yes")

    @online
    async def test_a_socket_keeps_its_order_with_events_and_acknowledgements(self):
        client = await self.join()
        socket, frame = self.server.socket(client.sid), self.server.frame("ready", {"a": 1})
        socket.send(frame)
        await self.server.emit("second", to=client.sid)
        socket.send(frame)
        with self.assertRaises(KeyError):
            self.server.socket("nobody")
        got = [await client.receive_str() for _ in range(3)]
        self.assertEqual(got, ['42["ready",{"a":1}]', '42["second"]', '42["ready",{"a":1}]'])

    @online
    async def test_a_socket_works_through_the_upgrade(self):
        sid = await self.open_polling()
        await self.post(sid, "40")
        await self.get(sid)
        (socket,) = self.members.values()
        client = await self.websocket(sid)
        await client.send_str("2probe")
        await client.receive_str()
        socket.send(self.server.frame("before"))
        self.assertEqual(await self.get(sid), (200, '42["before"]'))
        socket.send(self.server.frame("between"))
        await client.send_str("5")
        await self.until(lambda: self.sockets[sid].upgraded)
        socket.send(self.server.frame("after"))
        self.assertEqual([await client.receive_str() for _ in range(2)], ['42["between"]', '42["after"]'])

    @online
    async def test_a_socket_closes_with_a_sentence_after_what_was_sent_before(self):
        client = await self.join()
        socket = self.server.socket(client.sid)
        socket.send(self.server.frame("last"))
        socket.close("You have been asked to leave.")
        socket.send(self.server.frame("never"))
        self.assertEqual([await client.receive_str() for _ in range(2)], ['42["last"]', "41"])
        self.assertEqual(await self.closed(client), (1000, "You have been asked to leave."))
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()

    @online
    async def test_a_socket_that_is_closed_at_once_loses_nothing(self):
        @self.server.event
        async def connect(sid, environ, auth):
            async def greet():
                socket = self.server.socket(sid)
                socket.send(self.server.frame("last"))
                socket.close("bye")

            self.server.start_background_task(greet)

        client = await self.open_websocket()
        await client.send_str("40")
        await client.receive_str()
        self.assertEqual([await client.receive_str() for _ in range(2)], ['42["last"]', "41"])
        self.assertEqual(await self.closed(client), (1000, "bye"))

    @online
    async def test_a_socket_closes_a_polling_client_that_can_still_read_why(self):
        sid = await self.open_polling()
        await self.post(sid, "40")
        await self.get(sid)
        (socket,) = self.members.values()
        socket.send(self.server.frame("notice", "bye"))
        socket.close("bye")
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()
        self.assertEqual(await self.get(sid), (200, '42["notice","bye"]\x1e41\x1e1'))

    @online
    async def test_the_session_and_the_environ_of_a_client_are_kept(self):
        client = await self.join()
        async with self.server.session(client.sid) as session:
            session["name"] = "ada"
        self.assertEqual(await self.server.get_session(client.sid), {"name": "ada"})
        environ = self.server.get_environ(client.sid)
        self.assertEqual((environ["REMOTE_ADDR"], environ["PATH_INFO"]), ("127.0.0.1", "/socket.io/"))
        self.assertIn("aiohttp", environ["HTTP_USER_AGENT"])
        self.assertEqual(self.server.transport(client.sid), "websocket")


del SocketTest  # a base, not a test
