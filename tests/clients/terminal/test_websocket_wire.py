"""A connection over a WebSocket, against a server that sends what each test tells it to."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from webchat.clients.address import Address, parse
from webchat.clients.link import ChatState, ConnectionLost, Refused
from webchat.clients.terminal.websocket_wire import WebSocketWire

WELCOME = {"type": "welcome", "username": "Sue*", "authenticated": True, "users": ["ada", "Sue*"],
           "rooms": ["Taskmaster"], "token": "t"}


def message(id: str, text: str, **where) -> dict:
    return {"id": id, "time": 5000, "from_user": "ada", "authenticated": False, "text": text, **where}


class Session:
    """A connected client, and the other end of its connection."""

    def __init__(self, **timeouts):
        self.state = ChatState()
        self.shown = []
        self._timeouts = timeouts

    async def __aenter__(self) -> "Session":
        peers, self._over = asyncio.Queue(), asyncio.Event()

        async def meet(peer):
            peers.put_nowait(peer)
            await self._over.wait()

        self._server = await serve(meet, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = parse(f"ws://127.0.0.1:{port}")
        if self._timeouts:
            self.wire = WebSocketWire(await connect(self.address.url), self.state, self.shown.append, **self._timeouts)
        else:
            self.wire = await WebSocketWire.open(self.address, self.state, self.shown.append)
        self.peer = await peers.get()
        return self

    async def __aexit__(self, *_) -> None:
        await self.wire.close()
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

    async def logs_in(self) -> None:
        running = asyncio.create_task(self.wire.log_in("Sue", "password"))
        assert await self.answers() == {"type": "login", "username": "Sue", "password": "password", "token": ""}
        await self.says(**WELCOME)
        await running

    @property
    def texts(self) -> list[str]:
        return [item.text for item in self.shown]


def run(scenario, **timeouts) -> None:
    async def run():
        async with asyncio.timeout(10), Session(**timeouts) as session:
            await scenario(session)

    asyncio.run(run())


def test_it_logs_in_and_learns_who_is_here_and_which_rooms_the_user_may_join():
    async def scenario(session):
        await session.logs_in()
        state = session.state
        assert (state.name, state.people, state.groups, state.token) == ("Sue*", {"ada", "Sue*"}, ("Taskmaster",), "t")
        assert session.texts == ["You are Sue*. 2 here: ada | Sue*"]

    run(scenario)


def test_a_refused_login_gives_the_reason():
    async def scenario(session):
        running = asyncio.create_task(session.wire.log_in("Sue", "guess"))
        await session.answers(ok=False, code="bad-credentials", message="No.")
        with pytest.raises(Refused) as refused:
            await running
        assert (str(refused.value), refused.value.code) == ("No.", "bad-credentials")

    run(scenario)


def test_commands_become_requests():
    async def scenario(session):
        await session.logs_in()
        joined = {"room": "Taskmaster", "members": ["Sue*"], "history": []}
        assert await session.during(session.wire.send("/join taskmaster"), joined) == [
            {"type": "join", "room": "taskmaster"}]
        assert await session.during(session.wire.send("to the room"), {}) == [
            {"type": "message", "message": "to the room", "room": "Taskmaster"}]
        assert await session.during(session.wire.send("/all to all\nin two lines"), {}) == [
            {"type": "message", "message": "to all\nin two lines"}]
        assert await session.during(session.wire.send("/msg ada psst"), {}) == [
            {"type": "privmsg", "to_user": "ada", "message": "psst"}]
        assert (session.shown[-1].to, session.shown[-1].text) == ("ada", "psst")
        assert await session.during(session.wire.send("/part"), {}) == [{"type": "part", "room": "Taskmaster"}]
        assert session.state.room is None

    run(scenario)


def test_what_the_client_knows_is_answered_without_a_request():
    async def scenario(session):
        await session.logs_in()
        for line in ("/users", "/rooms", "/help"):
            await session.wire.send(line)
        assert session.texts[1:3] == ["2 here: ada | Sue*", "Your rooms: Taskmaster"]
        assert "/join ROOM" in session.texts[3]
        for line in ("/nick Susan", "/login Alex password", "/dance", "/msg ada"):
            with pytest.raises(Refused):
                await session.wire.send(line)

    run(scenario)


def test_presence_is_shown_and_remembered():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="presence", joined=["bob"], left=["ada"])
        await session.says(type="presence", joined=["bob"], left=["Sue*"], room="Taskmaster")
        await session.says(type="typing", from_user="bob")
        await session.says(type="notice", code="degraded", message="Later.")
        await session.during(session.wire.send("x"), {})
        assert session.texts[1:] == ["ada has left", "bob has joined", "Sue* has left #Taskmaster",
                                     "bob has joined #Taskmaster", "Later."]
        assert session.state.people == {"bob", "Sue*"}

    run(scenario)


def test_a_room_entered_again_shows_only_new_messages():
    async def scenario(session):
        await session.logs_in()
        history = [message(f"0{number}", f"text {number}", room="Taskmaster") for number in range(1, 4)]
        joined = {"room": "Taskmaster", "members": ["Sue*"]}
        await session.during(session.wire.join("Taskmaster"), {**joined, "history": history[:2]})
        assert session.texts[-3:-1] == ["text 1", "text 2"]
        await session.during(session.wire.join("Taskmaster"), {**joined, "history": history})
        assert session.texts[-3:-1] == ["What was said last in #Taskmaster:", "text 3"]
        await session.during(session.wire.send("/part"), {})
        await session.during(session.wire.join("Taskmaster"), {**joined, "history": history})
        assert session.texts[-4:-1] == ["text 1", "text 2", "text 3"]

    run(scenario)


def test_a_message_has_the_time_at_which_the_server_got_it():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="chat_message", **message("01", "psst", to_user="Sue*"))
        await session.during(session.wire.send("x"), {})
        assert (session.shown[-1].at, session.shown[-1].private, session.shown[-1].to) == (5, True, None)

    run(scenario)


@pytest.mark.parametrize("frame", [
    "no json", "[]", "7", "{}", '{"type": 5}', '{"type": "ack"}', '{"type": "chat_message", "surprise": 1}',
    "[" * 100_000,
    '{"type": "chat_message", "id": "1", "from_user": "ada", "authenticated": false, "text": "hi", "time": 1'
    + "0" * 400 + "}",
])
def test_frames_that_are_not_webchats_end_the_connection_with_a_reason(frame):
    async def scenario(session):
        await session.logs_in()
        await session.peer.send(frame)
        assert await session.wire.wait_closed() == "The server said something that is not webchat's protocol"
        with pytest.raises(ConnectionLost):
            await session.wire.send("hello")

    run(scenario)


def test_the_servers_reason_for_closing_is_returned():
    async def scenario(session):
        await session.logs_in()
        await session.peer.close(1001, "The server is going down")
        assert await session.wire.wait_closed() == "The server is going down"

    run(scenario)


def test_a_server_that_does_not_answer_like_a_chat_is_given_up():
    async def scenario(session):
        with pytest.raises(ConnectionLost, match="it is no webchat"):
            await session.wire.log_in("Sue", "password")

    run(scenario, answer_timeout=0.05)


def test_a_port_on_which_nobody_listens_is_a_lost_connection():
    async def scenario(session):
        free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = free.sockets[0].getsockname()[1]
        free.close()
        await free.wait_closed()
        with pytest.raises(ConnectionLost, match="nobody listens there"):
            await WebSocketWire.open(parse(f"ws://localhost:{port}"), session.state, session.shown.append)

    run(scenario)


@pytest.mark.parametrize(("answer", "reason"), [
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", r"no chat there \(HTTP 404\)"),
    (b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", "other names; its operator .* --allow-host"),
    (b"220 mail.example ESMTP\r\n", r"no WebSocket there; with TLS the address is wss://127\.0\.0\.1:\d+/ws"),
])
def test_a_server_without_a_chat_is_told_apart(answer, reason):
    async def scenario(session):
        def reply(reader, writer):
            writer.write(answer)
            writer.close()

        other = await asyncio.start_server(reply, "127.0.0.1", 0)
        async with other:
            address = parse(f"ws://127.0.0.1:{other.sockets[0].getsockname()[1]}")
            with pytest.raises(ConnectionLost, match=reason):
                await WebSocketWire.open(address, session.state, session.shown.append)

    run(scenario)


def test_a_url_that_cannot_be_used_is_a_lost_connection():
    async def scenario(session):
        with pytest.raises(ConnectionLost, match="no WebSocket there"):
            await WebSocketWire.open(Address("chat", 80, "gopher://chat"), session.state, session.shown.append)

    run(scenario)


def test_answers_are_matched_to_their_requests_in_any_order():
    async def scenario(session):
        await session.logs_in()
        first, second = (asyncio.create_task(session.wire.deliver(text)) for text in ("first", "second"))
        refs = [json.loads(await session.peer.recv())["ref"] for _ in range(2)]
        third = asyncio.create_task(session.wire.deliver("third"))
        refs.append(json.loads(await session.peer.recv())["ref"])
        await session.says(type="ack", ref=refs[1], ok=False, code="slow-down", message="Wait.")
        with pytest.raises(Refused) as refused:
            await second
        assert refused.value.code == "slow-down"
        assert not first.done() and not third.done()
        await session.says(type="ack", ref=refs[2], ok=True)
        await third
        await session.says(type="ack", ref=refs[0], ok=True)
        await first

    run(scenario)


def test_an_answer_that_nobody_waits_for_is_ignored():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="ack", ref=99, ok=True)
        await session.during(session.wire.send("hello"), {})

    run(scenario)


def test_an_error_without_a_request_is_shown():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="error", code="bad-message", message="That cannot be understood.")
        await session.during(session.wire.send("hello"), {})
        assert session.texts[-1] == "That cannot be understood."

    run(scenario)


def test_a_history_is_not_shown_a_second_time():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="history", room="Taskmaster", members=[], messages=[message("01", "old")])
        await session.during(session.wire.send("hello"), {})
        assert "old" not in session.texts

    run(scenario)


def test_private_messages_from_the_users_other_connections_name_the_recipient():
    async def scenario(session):
        await session.logs_in()
        await session.says(type="chat_message", **message("01", "psst", to_user="bob") | {"from_user": "Sue*"})
        await session.says(type="chat_message", **message("02", "note", to_user="Sue*") | {"from_user": "Sue*"})
        await session.during(session.wire.send("hello"), {})
        assert [(item.text, item.private, item.to) for item in session.shown[-2:]] == [
            ("psst", True, "bob"), ("note", True, None)]

    run(scenario)


def test_a_private_message_to_the_user_themselves_is_shown_when_the_server_sends_it_back():
    async def scenario(session):
        await session.logs_in()
        await session.during(session.wire.send("/msg Sue remember the milk"), {})
        assert "remember the milk" not in session.texts

    run(scenario)


def test_a_refused_private_message_is_not_shown_as_said():
    async def scenario(session):
        await session.logs_in()
        with pytest.raises(Refused):
            await session.during(session.wire.send("/msg nobody psst"), {"ok": False, "message": "Nobody is here."})
        assert "psst" not in session.texts

    run(scenario)


def test_leaving_a_room_that_is_not_talked_in_changes_nothing_else():
    async def scenario(session):
        await session.logs_in()
        for room in ("Quite Interesting", "Taskmaster"):
            await session.during(session.wire.join(room), {"room": room, "members": [], "history": []})
        await session.during(session.wire.send("/part #Quite Interesting"), {})
        assert (session.state.rooms, session.state.room) == (["Taskmaster"], "Taskmaster")
        assert session.texts[-1] == "You have left the room."
        await session.during(session.wire.send("/part"), {})
        assert session.texts[-1] == "You have left the room. What you type goes to everyone again."

    run(scenario)


def test_quit_closes_the_connection():
    async def scenario(session):
        await session.logs_in()
        await session.wire.send("/quit")
        assert await session.wire.wait_closed() == "The server has closed the connection"

    run(scenario)


def test_it_begins_outside_of_every_room():
    async def scenario(session):
        session.state.enter_room("Taskmaster")
        await session.logs_in()
        assert (session.state.rooms, session.state.room) == ([], None)

    run(scenario)


def test_a_new_welcome_replaces_what_was_known():
    async def scenario(session):
        await session.logs_in()
        await session.says(**WELCOME | {"username": "Susan", "users": ["Susan"]})
        await session.during(session.wire.send("hello"), {})
        assert (session.state.name, session.state.people) == ("Susan", {"Susan"})

    run(scenario)


def test_a_dropped_connection_is_closed_at_once():
    async def scenario(session):
        await session.logs_in()
        session.wire.abort()
        await session.peer.wait_closed()

    run(scenario)
