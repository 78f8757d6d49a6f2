"""A connection over a WebSocket, against a peer that says what each test wants said."""

import asyncio
import json

import pytest
from websockets.asyncio.server import serve

from webchat.clients.address import parse
from webchat.clients.link import ChatState, ConnectionLost, Refused
from webchat.clients.terminal.websocket_wire import WebSocketWire

WELCOME = {"type": "welcome", "username": "Sue*", "authenticated": True, "users": ["ada", "Sue*"],
           "rooms": ["Taskmaster"], "token": "t"}


def message(id: str, text: str, **where) -> dict:
    return {"id": id, "time": 5000, "from_user": "ada", "authenticated": False, "text": text, **where}


class Visit:
    """Somebody whose client is connected, and the other end of the connection."""

    def __init__(self):
        self.here = ChatState()
        self.heard = []

    async def __aenter__(self) -> "Visit":
        peers, self._over = asyncio.Queue(), asyncio.Event()

        async def meet(peer):
            peers.put_nowait(peer)
            await self._over.wait()

        self._server = await serve(meet, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.wire = await WebSocketWire.open(parse(f"ws://127.0.0.1:{port}"), self.here, self.heard.append)
        self.peer = await peers.get()
        return self

    async def __aexit__(self, *_) -> None:
        await self.wire.leave()
        self._over.set()
        self._server.close()
        await self._server.wait_closed()

    async def says(self, **frame) -> None:
        await self.peer.send(json.dumps(frame))

    async def answers(self, ok: bool = True, **answer) -> dict:
        """Take a request and answer it; returns the request."""
        request = json.loads(await self.peer.recv())
        await self.says(type="ack", ref=request.pop("ref"), ok=ok, **answer)
        return request

    async def during(self, action, *answers: dict) -> list[dict]:
        """The requests that an action makes, each with its answer."""
        running = asyncio.create_task(action)
        requests = [await self.answers(**answer) for answer in answers]
        await running
        return requests

    async def enters(self) -> None:
        running = asyncio.create_task(self.wire.enter("Sue", "password"))
        assert await self.answers() == {"type": "login", "username": "Sue", "password": "password", "token": ""}
        await self.says(**WELCOME)
        await running

    @property
    def texts(self) -> list[str]:
        return [item.text for item in self.heard]


def visit(scenario) -> None:
    async def run():
        async with asyncio.timeout(10), Visit() as each:
            await scenario(each)

    asyncio.run(run())


def test_it_logs_in_and_knows_who_is_here_and_which_rooms_there_are():
    async def scenario(visit):
        await visit.enters()
        here = visit.here
        assert (here.name, here.people, here.groups, here.token) == ("Sue*", {"ada", "Sue*"}, ("Taskmaster",), "t")
        assert visit.texts == ["You are Sue*. 2 here: ada | Sue*"]

    visit(scenario)


def test_a_refused_login_says_why():
    async def scenario(visit):
        running = asyncio.create_task(visit.wire.enter("Sue", "guess"))
        await visit.answers(ok=False, code="bad-credentials", message="No.")
        with pytest.raises(Refused) as refused:
            await running
        assert (str(refused.value), refused.value.code) == ("No.", "bad-credentials")

    visit(scenario)


def test_commands_become_requests():
    async def scenario(visit):
        await visit.enters()
        joined = {"room": "Taskmaster", "members": ["Sue*"], "history": []}
        assert await visit.during(visit.wire.send("/join taskmaster"), joined) == [
            {"type": "join", "room": "taskmaster"}]
        assert await visit.during(visit.wire.send("to the room"), {}) == [
            {"type": "message", "message": "to the room", "room": "Taskmaster"}]
        assert await visit.during(visit.wire.send("/all to all\nin two lines"), {}) == [
            {"type": "message", "message": "to all\nin two lines"}]
        assert await visit.during(visit.wire.send("/msg ada psst"), {}) == [
            {"type": "privmsg", "to_user": "ada", "message": "psst"}]
        assert (visit.heard[-1].to, visit.heard[-1].text) == ("ada", "psst")
        assert await visit.during(visit.wire.send("/part"), {}) == [{"type": "part", "room": "Taskmaster"}]
        assert visit.here.room is None

    visit(scenario)


def test_what_the_client_knows_itself_asks_nobody():
    async def scenario(visit):
        await visit.enters()
        for line in ("/users", "/rooms", "/help"):
            await visit.wire.send(line)
        assert visit.texts[1:3] == ["2 here: ada | Sue*", "Your rooms: Taskmaster"]
        assert "/join ROOM" in visit.texts[3]
        for line in ("/nick Susan", "/login Alex password", "/dance", "/msg ada"):
            with pytest.raises(Refused):
                await visit.wire.send(line)

    visit(scenario)


def test_presence_is_told_and_remembered():
    async def scenario(visit):
        await visit.enters()
        await visit.says(type="presence", joined=["bob"], left=["ada"])
        await visit.says(type="presence", joined=["bob"], left=[], room="Taskmaster")
        await visit.says(type="typing", from_user="bob")
        await visit.says(type="notice", code="degraded", message="Later.")
        await visit.during(visit.wire.send("x"), {})
        assert visit.texts[1:] == ["ada has left", "bob has joined", "bob has joined #Taskmaster", "Later."]
        assert visit.here.people == {"bob", "Sue*"}

    visit(scenario)


def test_coming_back_to_a_room_shows_only_what_is_new():
    async def scenario(visit):
        await visit.enters()
        history = [message(f"0{number}", f"text {number}", room="Taskmaster") for number in range(1, 4)]
        joined = {"room": "Taskmaster", "members": ["Sue*"]}
        await visit.during(visit.wire.join("Taskmaster"), {**joined, "history": history[:2]})
        assert visit.texts[-3:-1] == ["text 1", "text 2"]
        await visit.during(visit.wire.join("Taskmaster"), {**joined, "history": history})
        assert visit.texts[-3:-1] == ["What was said last in #Taskmaster:", "text 3"]
        await visit.during(visit.wire.send("/part"), {})
        await visit.during(visit.wire.join("Taskmaster"), {**joined, "history": history})
        assert visit.texts[-4:-1] == ["text 1", "text 2", "text 3"]

    visit(scenario)


def test_a_message_has_the_time_at_which_the_server_had_it():
    async def scenario(visit):
        await visit.enters()
        await visit.says(type="chat_message", **message("01", "psst", to_user="Sue*"))
        await visit.during(visit.wire.send("x"), {})
        assert (visit.heard[-1].at, visit.heard[-1].private, visit.heard[-1].to) == (5, True, None)

    visit(scenario)


@pytest.mark.parametrize("frame", [
    "no json", "[]", "7", "{}", '{"type": 5}', '{"type": "ack"}', '{"type": "chat_message", "surprise": 1}',
])
def test_what_is_no_webchat_ends_the_connection_with_a_reason(frame):
    async def scenario(visit):
        await visit.enters()
        await visit.peer.send(frame)
        assert await visit.wire.ended() == "The server said something that is not webchat's protocol"
        with pytest.raises(ConnectionLost):
            await visit.wire.send("hello")

    visit(scenario)


def test_the_reason_that_a_server_closes_with_is_told():
    async def scenario(visit):
        await visit.enters()
        await visit.peer.close(1001, "The server is going down")
        assert await visit.wire.ended() == "The server is going down"

    visit(scenario)
