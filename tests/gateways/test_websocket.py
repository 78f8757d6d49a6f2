"""The plain WebSocket door, over real sockets."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application
from tornado.websocket import websocket_connect

from tests.chat.fakes import immediately
from tests.frames import CLOSE, CONTINUATION, PING, TEXT, masked
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.hub import Hub
from webchat.codecs import json_events
from webchat.gateways import websocket
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies

ROOM = "Taskmaster"


class Client:
    """A client as its user sees it: `ask` sends with a ref and waits for its answer, `hear` waits for a type."""

    def __init__(self, connection):
        self.connection = connection
        self.heard = []
        self._refs = iter(range(1_000_000))
        self._ended = False

    async def send(self, **request):
        await self.raw(json.dumps(request))

    async def raw(self, text, binary=False):
        await self.connection.write_message(text, binary)

    async def ask(self, **request):
        ref = next(self._refs)
        await self.send(ref=ref, **request)
        return await self.hear("ack", ref=ref)

    async def hear(self, kind, **fields):
        """The next message of that type with those fields; None when the server has closed."""
        wanted = {"type": kind, **fields}
        for message in self.heard:
            if wanted.items() <= message.items():
                self.heard.remove(message)
                return message
        while (text := await self._read()) is not None:
            message = json.loads(text)
            if wanted.items() <= message.items():
                return message
            self.heard.append(message)
        return None

    async def closed(self):
        while await self._read() is not None:
            pass
        return self.connection.close_code

    async def _read(self):
        text = None if self._ended else await self.connection.read_message()
        self._ended = text is None
        return text


class DoorTest(AsyncHTTPTestCase):
    login_time = 10.0
    message_rate = 0

    def get_app(self):
        self.hub = Hub(demo_accounts(run=immediately), LocalBackplane(), self.io_loop.asyncio_loop,
                       message_rate=self.message_rate)
        self.door = websocket.WebSocketDoor(self.hub, Outbox(), Origins(["https://friend.example"]), Proxies(),
                                            self.login_time)
        return Application(self.door.routes())

    def setUp(self):
        super().setUp()
        self.clients = []

    def tearDown(self):
        self.io_loop.run_sync(self.leave)
        super().tearDown()

    async def leave(self):
        """Everybody goes, so that nothing of this test is left for the next."""
        for client in self.clients:
            client.connection.close()
            await client.closed()
        self.clients.clear()

    async def connect(self, compression=None, **headers):
        url = f"ws://127.0.0.1:{self.get_http_port()}/ws"
        client = Client(await websocket_connect(HTTPRequest(url, headers=headers), compression_options=compression))
        self.clients.append(client)
        return client

    async def login(self, username, password=""):
        client = await self.connect()
        await client.send(type="login", username=username, password=password)
        client.welcome = await client.hear("welcome")
        return client


class Conversation(DoorTest):
    @gen_test
    async def test_a_login_is_answered_with_the_welcome(self):
        await self.login("ada")
        alex = await self.login("Alex", "password")
        del alex.welcome["token"]
        assert alex.welcome == {"type": "welcome", "username": "Alex*", "authenticated": True,
                                "users": ["ada", "Alex*"], "rooms": ["8 out of 10 cats", ROOM]}

    @gen_test
    async def test_a_refused_login_says_why_and_the_client_may_try_again(self):
        client = await self.connect()
        await client.send(type="login", username="admin", password="wrong")
        assert (await client.hear("error"))["code"] == "bad-credentials"
        assert (await client.ask(type="login", username="ada"))["ok"] is True
        assert (await client.hear("welcome"))["username"] == "ada"

    @gen_test
    async def test_a_message_is_acknowledged_by_its_ref_and_heard_by_everyone(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        for ref in ("a string", 7, 1.5):
            await ada.send(type="message", message="hello", ref=ref)
            ack = await ada.hear("ack", ref=ref)
            heard = await bob.hear("chat_message")
            assert heard == {"type": "chat_message", "id": ack["id"], "time": ack["time"], "from_user": "ada",
                             "authenticated": False, "text": "hello"}
            assert await ada.hear("chat_message") == heard

    @gen_test
    async def test_a_private_message_reaches_its_recipient_alone(self):
        ada, bob, cyd = [await self.login(name) for name in ("ada", "bob", "cyd")]
        await ada.ask(type="privmsg", to_user="bob", message="hush")
        assert (await bob.hear("chat_message"))["to_user"] == "bob"
        await ada.ask(type="message", message="loud")
        assert (await cyd.hear("chat_message"))["text"] == "loud"

    @gen_test
    async def test_typing_is_passed_on(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        await ada.send(type="typing", to_user="bob")
        assert await bob.hear("typing") == {"type": "typing", "from_user": "ada", "to_user": "bob"}

    @gen_test
    async def test_presence_follows_comings_and_goings_however_a_client_ends(self):
        ada = await self.login("ada")
        for code in (1000, 1001, None):
            bob = await self.login("bob")
            assert (await ada.hear("presence", joined=["bob"]))["left"] == []
            bob.connection.close(code)
            assert (await ada.hear("presence", left=["bob"]))["joined"] == []
        bob = await self.login("bob")
        await ada.hear("presence", joined=["bob"])
        bob.connection.protocol.stream.close()  # what the other side sees as 1006
        await ada.hear("presence", left=["bob"])

    @gen_test
    async def test_errors_without_a_ref_are_errors_and_with_one_are_acks(self):
        ada = await self.login("ada")
        await ada.send(type="privmsg", to_user="nobody", message="x")
        assert (await ada.hear("error"))["code"] == "no-such-user"
        refused = await ada.ask(type="privmsg", to_user="nobody", message="x")
        assert (refused["ok"], refused["code"]) == (False, "no-such-user")

    @gen_test
    async def test_a_client_that_offers_compression_is_served_without(self):
        client = await self.connect(compression={})
        await client.send(type="login", username="ada")
        assert (await client.hear("welcome"))["username"] == "ada"
        assert "Sec-WebSocket-Extensions" not in client.connection.headers


    @gen_test
    async def test_a_server_that_goes_away_says_so_with_1001_after_all_that_it_had_to_say(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        await ada.send(type="message", message="last words")
        await ada.hear("chat_message")
        await self.door.drain("Back soon.")
        assert await bob.hear("chat_message")
        for client in (ada, bob):
            assert await client.closed() == 1001
            assert client.connection.close_reason == "Back soon."
        assert not self.hub.sessions


class Rooms(DoorTest):
    @gen_test
    async def test_joining_gives_members_and_the_previous_ten_messages_oldest_first(self):
        alex = await self.login("Alex", "password")
        await alex.ask(type="join", room=ROOM)
        for n in range(12):
            await alex.ask(type="message", room=ROOM, message=str(n))
        sue = await self.login("Sue", "password")
        await sue.send(type="join", room=ROOM)
        history = await sue.hear("history")
        assert history["room"] == ROOM
        assert history["members"] == ["Alex*", "Sue*"]
        assert [message["text"] for message in history["messages"]] == [str(n) for n in range(2, 12)]

    @gen_test
    async def test_a_stranger_cannot_tell_a_room_from_no_room(self):
        ada = await self.login("ada")
        answers = []
        for request in ("join", "part", "message", "typing"):
            for room in (ROOM, "no such room"):
                answer = await ada.ask(type=request, room=room, message="x")
                answers.append((request, answer["ok"], answer["code"], answer["message"]))
        assert len(set(answers)) == 4
        assert not any(ok for _, ok, _, _ in answers)

    @gen_test
    async def test_only_those_joined_hear_and_speak(self):
        alex, sue, sandy = [await self.login(name, "password") for name in ("Alex", "Sue", "Sandy")]
        for member in (alex, sue):
            await member.ask(type="join", room=ROOM)
        await sue.ask(type="message", room=ROOM, message="hello")
        assert (await alex.hear("chat_message"))["room"] == ROOM
        assert (await sandy.ask(type="message", room=ROOM, message="x"))["code"] == "not-in-room"
        await sue.ask(type="part", room=ROOM)
        await alex.ask(type="message", room=ROOM, message="gone?")
        await alex.ask(type="message", message="to all")
        for client in (sandy, sue):
            heard = await client.hear("chat_message", text="to all")
            assert "room" not in heard
        assert [message["text"] for message in sue.heard if message["type"] == "chat_message"] == ["hello"]


class Strangers(DoorTest):
    @gen_test
    async def test_a_foreign_origin_gets_403_before_the_upgrade(self):
        for origin in ("https://evil.example", "null", "http://[bad"):
            try:
                await self.connect(Origin=origin)
            except HTTPClientError as error:
                assert error.code == 403
            else:
                raise AssertionError("It was let in.")
        for origin in ("https://friend.example", f"http://127.0.0.1:{self.get_http_port()}"):
            await self.connect(Origin=origin)

    @gen_test
    async def test_a_malformed_frame_is_an_error_and_not_the_end(self):
        ada = await self.login("ada")
        for text in ("", "{", "[]", "7", "null", '"login"', "{}", '{"type":7}', '{"type":"surprise"}', "[" * 30000,
                     '{"type":"message","message":"x","ref":[1]}', '{"type":"message","message":"x","ref":true}'):
            await ada.raw(text)
            assert (await ada.hear("error"))["code"] == "bad-message", text
        await ada.raw(b"\x00\xff", binary=True)
        assert (await ada.hear("error"))["code"] == "bad-message"
        assert (await ada.ask(type="message", message="still here"))["ok"]

    @gen_test
    async def test_nor_are_many_before_a_login(self):
        client = await self.connect()
        for _ in range(websocket.LOGIN_TRIES + 1):
            await client.raw("not JSON")
            assert (await client.hear("error"))["code"] == "bad-message"
        await client.send(type="login", username="ada")
        assert await client.hear("welcome")

    @gen_test
    async def test_an_oversized_message_closes_with_1009(self):
        ada = await self.login("ada")
        await ada.raw("x" * (json_events.MAX_REQUEST + 1))
        assert await ada.closed() == 1009
        assert not self.hub.sessions

    @gen_test
    async def test_whoever_breaks_the_protocol_itself_is_told_how(self):
        breaches = {
            1002: [b"\x81\x02{}", masked(0x3), masked(0x40 | TEXT, b"{}"), masked(CONTINUATION, b"{}"),
                   masked(PING, b"x" * 126), masked(CLOSE, b"\x03")],
            1007: [masked(TEXT, b"\xff"), masked(CLOSE, b"\x03\xe8\xff")],
        }
        for code, frames in breaches.items():
            for frame in frames:
                client = await self.login("ada")
                await client.connection.protocol.stream.write(frame)
                assert await client.closed() == code, frame
                assert not self.hub.sessions

    @gen_test
    async def test_a_request_that_asks_for_no_websocket_is_told_to(self):
        answer = await self.http_client.fetch(self.get_url("/ws"), raise_error=False)
        assert (answer.code, answer.body) == (400, b"400 Bad Request: This is a WebSocket.\n")

    @gen_test
    async def test_the_longest_message_fits_however_it_is_escaped(self):
        ada = await self.login("ada")
        text = "\U0001f600" * 4096
        await ada.send(type="message", message=text)  # json.dumps writes twelve bytes for each
        assert (await ada.hear("chat_message"))["text"] == text

    @gen_test
    async def test_many_refused_logins_end_the_connection_and_leave_nothing(self):
        client = await self.connect()
        for _ in range(websocket.LOGIN_TRIES):
            await client.send(type="login", username="ALL")
        assert await client.closed() == 1008
        assert not self.hub.sessions
        assert not len(self.hub.people)


class NeverLoggingIn(DoorTest):
    login_time = 0.05

    @gen_test
    async def test_a_client_that_does_not_log_in_is_told_and_closed(self):
        client = await self.connect()
        assert (await client.hear("error"))["code"] == "login-required"
        assert await client.closed() == 1008
        assert not self.hub.sessions


class Floods(DoorTest):
    message_rate = 5

    @gen_test
    async def test_a_flood_is_refused_and_the_connection_stays(self):
        ada = await self.login("ada")
        answers = [await ada.ask(type="message", message=str(n)) for n in range(12)]
        assert [answer["ok"] for answer in answers[:10]] == [True] * 10
        assert answers[-1]["code"] == "slow-down"


NAMES = st.sampled_from(["ada", "bob", "Alex", "admin", "ALL", "", "x" * 40])
ROOMS = st.sampled_from([ROOM, "Quite Interesting", "nowhere", ""])
WORDS = st.sampled_from(["hi", "", "\x00", "x" * 5000, "a\nb"])
REQUESTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("login"), "username": NAMES},
                          optional={"password": st.sampled_from(["password", "admin", "wrong"])}),
    st.fixed_dictionaries({"type": st.just("message"), "message": WORDS}, optional={"room": ROOMS}),
    st.fixed_dictionaries({"type": st.just("privmsg"), "to_user": NAMES, "message": WORDS}),
    st.fixed_dictionaries({"type": st.sampled_from(["join", "part", "typing"]), "room": ROOMS}),
    st.dictionaries(st.sampled_from(["type", "ref", "room"]), st.none() | st.integers() | st.text(max_size=5)),
).map(json.dumps) | st.text(max_size=20)
STEPS = st.lists(st.tuples(st.integers(0, 2), REQUESTS | st.none()), max_size=25)


class AnySequence(DoorTest):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def test_the_hubs_invariants_hold_after_any_sequence_of_frames(self, steps):
        """`None` is a client that goes and comes back."""
        self.io_loop.run_sync(lambda: self.play(steps), timeout=20)

    async def play(self, steps):
        clients = [await self.connect() for _ in range(3)]
        for which, frame in steps:
            if frame is None:
                clients[which].connection.close()
                await clients[which].closed()
                clients[which] = await self.connect()
            else:
                await clients[which].raw(frame)
            self.check()
        await self.leave()
        self.check()

    def check(self):
        hub = self.hub
        named = [session for session in hub.sessions if session.person]
        assert set(hub.everyone) == set(named)
        assert {session.username for session in named} == set(hub.people.shown())
        for name, room in hub.rooms.items():
            joined = {session for session in named if name in session.rooms}
            assert set(room.sessions) == joined
            assert set(room.members()) == {session.username for session in joined}
            assert len(room.history) <= 10
