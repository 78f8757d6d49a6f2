"""The chat's Socket.IO door, over real sockets, with bare packets and with the stock client."""

import asyncio
import gc
import json

import socketio
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application
from tornado.websocket import websocket_connect

from tests.chat.fakes import immediately
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.events import Notice, Presence
from webchat.chat.hub import Hub
from webchat.codecs import json_events
from webchat.gateways.socketio import SocketIODoor, encode
from webchat.net import asgi
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies
from webchat.net.socketio import AsyncServer

ROOM = "Taskmaster"
PATIENCE = 5


class Client:
    """Socket.IO packets by hand, on a WebSocket; what is not waited for is kept."""

    def __init__(self, connection):
        self.connection = connection
        self._heard = []
        self._ids = 0
        self._ended = False

    async def packet(self, text):
        await self.connection.write_message("4" + text)

    async def send(self, event, payload):
        await self.packet("2" + json.dumps([event, payload]))

    async def ask(self, event, payload):
        self._ids += 1
        await self.packet(f"2{self._ids}{json.dumps([event, payload])}")
        return (await self.expect(f"3{self._ids}"))[0]

    async def connect(self, auth=None):
        """CONNECT; returns the answer, "0" or "4", and its payload."""
        await self.packet("0" + ("" if auth is None else json.dumps(auth)))
        while (packet := await self._read())[:1] not in "04":
            self._heard.append(packet)
        return packet[0], json.loads(packet[1:])

    async def hear(self, event, **fields):
        """The next such event's payload; None when the server has closed."""
        def wanted(packet):
            if not packet.startswith("2["):
                return False
            name, payload = json.loads(packet[1:])
            return name == event and fields.items() <= payload.items()
        packet = await self._find(wanted)
        return packet and json.loads(packet[1:])[1]

    async def expect(self, prefix):
        packet = await self._find(lambda packet: packet.startswith(prefix))
        return packet and json.loads(packet[len(prefix):] or "null")

    async def closed(self):
        while await self._read():
            pass
        self.connection.close()
        return self._heard

    async def _find(self, wanted):
        for packet in self._heard:
            if wanted(packet):
                self._heard.remove(packet)
                return packet
        while packet := await self._read():
            if wanted(packet):
                return packet
            self._heard.append(packet)
        return None

    async def _read(self):
        """The next Socket.IO packet, "" at the end."""
        while not self._ended:
            text = await asyncio.wait_for(self.connection.read_message(), PATIENCE)
            if text is None or text == "1":
                self._ended = True
            elif text == "2":
                await self.connection.write_message("3")
            elif text[0] == "4":
                return text[1:]
        return ""


class DoorTest(AsyncHTTPTestCase):
    login_time = 10.0

    def get_app(self):
        self.hub = Hub(demo_accounts(run=immediately), LocalBackplane(), self.io_loop.asyncio_loop)
        self.server = AsyncServer(async_mode="asgi", async_handlers=False, connect_timeout=10, max_attachments=0,
                                  ping_interval=300)
        self.chat = SocketIODoor(self.hub, self.server, Proxies(), login_time=self.login_time)
        return Application(asgi.mount(r"/socket\.io/.*", socketio.ASGIApp(self.server), outbox=Outbox()))

    def setUp(self):
        self.clients = []
        super().setUp()

    def tearDown(self):
        self.io_loop.run_sync(self.leave)
        super().tearDown()

    async def leave(self):
        for client in self.clients:
            client.connection.close()
            await client.closed()
        self.clients.clear()
        while self.server.eio.sockets:
            await asyncio.sleep(0)

    @property
    def url(self):
        return f"127.0.0.1:{self.get_http_port()}"

    async def open(self):
        """An Engine.IO session on a WebSocket, with no Socket.IO connection yet."""
        client = Client(await websocket_connect(f"ws://{self.url}/socket.io/?EIO=4&transport=websocket"))
        self.clients.append(client)
        assert (await client.connection.read_message()).startswith("0{")
        return client

    async def login(self, username, password=""):
        client = await self.open()
        assert (await client.connect({"username": username, "password": password}))[0] == "0"
        client.welcome = await client.hear("welcome")
        return client

    def left(self):
        """All that a connection may leave behind, counted."""
        return {
            "Engine.IO sessions": len(self.server.eio.sockets),
            "Socket.IO sids": len(self.server.environ),
            "Socket.IO clients": len(self.server.clients),
            "namespaces": {name: len(each.everyone) for name, each in self.server.manager.namespaces.items()},
            "tasks": len(asyncio.all_tasks()),
            "our sessions": len(self.hub.sessions) + len(self.chat),
            "people": len(self.hub.people),
        }


class Login(DoorTest):
    @gen_test
    async def test_by_the_handshakes_auth_the_connection_is_confirmed_and_then_the_welcome_comes(self):
        client = await self.open()
        answer, confirmation = await client.connect({"username": "Alex", "password": "password"})
        assert answer == "0"
        assert set(confirmation) == {"sid"}
        welcome = await client.hear("welcome")
        assert welcome.pop("token")
        assert welcome == {"username": "Alex*", "authenticated": True, "users": ["Alex*"],
                           "rooms": ["8 out of 10 cats", ROOM]}

    @gen_test
    async def test_a_refused_handshake_says_why_with_a_code(self):
        await self.login("ada")
        for auth, code in (({"username": "admin"}, "bad-credentials"), ({"username": "ada"}, "name-taken"),
                           ({"username": "ALL"}, "bad-name"), ({"username": 7}, "bad-message"),
                           ({"user": "x"}, "bad-message")):
            answer, error = await (await self.open()).connect(auth)
            assert answer == "4"
            assert error["data"] == {"code": code}
            assert error["message"]

    @gen_test
    async def test_by_the_event_connected_after_connecting(self):
        client = await self.open()
        assert (await client.connect())[0] == "0"
        assert (await client.ask("message", {"message": "too early"}))["code"] == "login-required"
        assert await client.ask("connected", {"username": "ada"}) == {"ok": True}
        assert (await client.hear("welcome"))["username"] == "ada"

    @gen_test
    async def test_a_refused_connected_is_answered_and_then_disconnected(self):
        client = await self.open()
        await client.connect()
        answer = await client.ask("connected", {"username": "admin", "password": "wrong"})
        assert (answer["ok"], answer["code"]) == (False, "bad-credentials")
        assert [packet for packet in await client.closed() if '"notice"' in packet] == []
        assert not self.hub.sessions

    @gen_test
    async def test_the_token_takes_ones_own_name_back(self):
        ada = await self.login("ada")
        again = await self.open()
        auth = {"username": "ada", "token": ada.welcome["token"]}
        assert (await again.connect(auth))[0] == "0"
        assert (await again.hear("welcome"))["username"] == "ada"


class Frames(DoorTest):
    def test_our_frames_are_those_of_the_socketio_server(self):
        for event in (Notice("degraded", "Später. \u2028"), Presence(("ada",), ())):
            assert encode(event) == self.server.frame(*json_events.payload(event))


class Memory(DoorTest):
    @gen_test
    async def test_the_welcome_with_everybodys_name_is_not_kept_once_it_has_left(self):
        await self.login("ada")
        contents = (each for container in gc.get_objects() for each in gc.get_referents(container))
        assert not [each for each in contents if type(each) is bytes and each.startswith(b'42["welcome"', 2)]


class RefusedLogins(DoorTest):
    """The bug of the original: a refused login that stays connected, so that messages come twice."""

    AUTHS = ({"username": "admin"}, {"username": "Sue", "password": "wrong"}, {"username": "ALL"}, {"username": "ada"},
             {"username": "ghost", "password": "x"}, {"username": ["a"]})

    @gen_test(timeout=60)
    async def test_a_thousand_of_each_kind_leave_nothing(self):
        await self.login("ada")
        before = self.left()
        for auth in self.AUTHS:
            for _ in range(5):
                await asyncio.gather(*(self.refused_handshakes(auth, 15) for _ in range(10)))
                await asyncio.gather(*(self.refused_event(auth) for _ in range(50)))
        while len(self.server.eio.sockets) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert self.left() == before

    async def refused_handshakes(self, auth, times):
        """A client may try again on the connection that it has; the stock ones hang up after the first."""
        client = await self.open()
        for _ in range(times):
            assert (await client.connect(auth))[0] == "4"
        client.connection.close()
        await client.closed()

    async def refused_event(self, auth):
        client = await self.open()
        await client.connect()
        assert not (await client.ask("connected", auth))["ok"]
        await client.closed()

    @gen_test
    async def test_who_failed_twice_and_then_got_in_receives_each_message_once(self):
        ada, client = await self.login("ada"), socketio.AsyncClient(reconnection=False)
        heard, done = [], asyncio.Event()

        @client.on("chat_message")
        def hear(message):
            heard.append(message["text"])
            if message["text"] == "last":
                done.set()

        for password in ("", "wrong"):
            with self.assertRaises(socketio.exceptions.ConnectionError):
                await client.connect(f"http://{self.url}", auth={"username": "admin", "password": password})
        await client.connect(f"http://{self.url}", auth={"username": "admin", "password": "admin"})
        for text in ("first", "last"):
            await ada.ask("message", {"message": text})
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert heard == ["first", "last"]
        await client.disconnect()


class Messages(DoorTest):
    @gen_test
    async def test_a_message_to_everyone_is_acknowledged_and_heard_by_all_its_sender_included(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        ack = await ada.ask("message", {"message": "hello"})
        assert ack["ok"]
        for client in (ada, bob):
            assert await client.hear("chat_message") == {
                "id": ack["id"], "time": ack["time"], "from_user": "ada", "authenticated": False, "text": "hello"}

    @gen_test
    async def test_a_private_message_is_heard_by_the_recipient_and_the_senders_other_connections(self):
        alex, phone = await self.login("Alex", "password"), await self.login("Alex", "password")
        bob = await self.login("bob")
        ack = await alex.ask("privmsg", {"to_user": "bob", "message": "hush"})
        for client in (phone, bob):
            assert (await client.hear("chat_message", to_user="bob"))["id"] == ack["id"]
        await alex.ask("message", {"message": "loud"})
        assert (await alex.hear("chat_message"))["text"] == "loud"

    @gen_test
    async def test_refusals_carry_a_code_and_a_sentence_and_the_connection_stays(self):
        ada = await self.login("ada")
        for event, payload, code in (
                ("privmsg", {"to_user": "nobody", "message": "x"}, "no-such-user"),
                ("message", {"message": " "}, "empty"),
                ("message", {"message": "x" * 4097}, "too-long"), ("message", "x", "bad-message"),
                ("message", {"message": "x", "room": ROOM}, "not-in-room"), ("join", {"room": ROOM}, "not-a-member")):
            answer = await ada.ask(event, payload)
            assert (answer["ok"], answer["code"]) == (False, code)
            assert answer["message"].endswith(".")
        assert (await ada.ask("message", {"message": "still here"}))["ok"]

    @gen_test
    async def test_a_refusal_that_nobody_wants_acknowledged_is_a_notice(self):
        ada = await self.login("ada")
        for event, payload, code in (
                ("privmsg", {"to_user": "nobody", "message": "x"}, "no-such-user"), ("message", "x", "bad-message"),
                ("join", {"room": ROOM}, "not-a-member"), ("connected", {"username": "ada"}, "bad-message")):
            await ada.send(event, payload)
            notice = await ada.hear("notice")
            assert notice["code"] == code
            assert notice["message"].endswith(".")

    @gen_test
    async def test_an_acknowledged_refusal_and_a_hint_in_vain_are_no_notices(self):
        ada = await self.login("ada")
        await ada.ask("message", {"message": ""})
        await ada.send("typing", {"to_user": "nobody"})
        await ada.send("message", {"message": "x"})
        await ada.hear("chat_message")
        await ada.ask("message", {"message": ""})
        ada.connection.close()
        assert [packet for packet in await ada.closed() if '"notice"' in packet] == []

    @gen_test
    async def test_a_refused_login_is_one_notice_without_an_acknowledgement_too(self):
        client = await self.open()
        await client.connect()
        await client.send("connected", {"username": "Alex"})
        assert (await client.hear("notice"))["code"] == "bad-credentials"
        assert [packet for packet in await client.closed() if '"notice"' in packet] == []

    @gen_test
    async def test_rooms_are_joined_with_members_and_history_and_parted(self):
        alex, sue = await self.login("Alex", "password"), await self.login("Sue", "password")
        await alex.ask("join", {"room": ROOM})
        for n in range(11):
            await alex.ask("message", {"message": str(n), "room": ROOM})
        joined = await sue.ask("join", {"room": ROOM})
        assert (joined["ok"], joined["room"], joined["members"]) == (True, ROOM, ["Alex*", "Sue*"])
        assert [message["text"] for message in joined["history"]] == [str(n) for n in range(1, 11)]
        assert (await alex.hear("presence", room=ROOM, joined=["Sue*"]))["left"] == []
        assert await sue.ask("part", {"room": ROOM}) == {"ok": True}

    @gen_test
    async def test_presence_is_told_as_differences(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        assert await ada.hear("presence") == {"joined": ["bob"], "left": []}
        bob.connection.close()
        assert await ada.hear("presence") == {"joined": [], "left": ["bob"]}

    @gen_test
    async def test_typing_is_hinted(self):
        ada, bob = await self.login("ada"), await self.login("bob")
        await ada.send("typing", {"to_user": "bob"})
        assert await bob.hear("typing") == {"from_user": "ada", "to_user": "bob"}


class NeverLoggingIn(DoorTest):
    login_time = 0.05

    @gen_test
    async def test_a_client_that_connects_and_does_not_log_in_is_told_and_closed(self):
        client = await self.open()
        await client.connect()
        assert (await client.hear("notice"))["code"] == "login-required"
        await client.closed()
        assert not self.hub.sessions
