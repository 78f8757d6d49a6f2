"""A connection of lines, against a server that sends what each test tells it to."""

import asyncio
import socket
import struct

import pytest

from webchat.clients.address import Address
from webchat.clients.link import ChatState, ConnectionLost, Refused
from webchat.clients.terminal.line_wire import LineWire
from webchat.clients.transcript import SystemMessage, UserMessage

GREETING = "-!- Welcome to webchat. Type your name and press Enter."
WELCOME = ["-!- You are Hugo. 2 here: ada | Hugo", "-!- What you type goes to everyone."]
NO_ROOMS = "-!- You are not a member of any room."


class Session:
    """A connected client, and the other end of its connection."""

    def __init__(self, **timeouts):
        self.state = ChatState()
        self.shown = []
        self._timeouts = timeouts

    async def __aenter__(self) -> "Session":
        peers = asyncio.Queue()
        self._server = await asyncio.start_server(lambda *streams: peers.put_nowait(streams), "127.0.0.1", 0)
        self.address = Address("127.0.0.1", self._server.sockets[0].getsockname()[1])
        if self._timeouts:
            streams = await asyncio.open_connection(self.address.host, self.address.port)
            self.wire = LineWire(*streams, self.state, self.shown.append, **self._timeouts)
        else:
            self.wire = await LineWire.open(self.address, self.state, self.shown.append)
        self._reader, self._writer = await peers.get()
        return self

    async def __aexit__(self, *_) -> None:
        self.wire.abort()
        self._writer.close()
        self._server.close()
        await self._server.wait_closed()

    def say(self, *lines: str) -> None:
        """Send lines to the client, in one segment."""
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self) -> str:
        """The next line from the client; empty when it has closed the connection."""
        return (await self._reader.readline()).decode().rstrip("\n")

    def end(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        # Without a linger time, closing sends a reset (RFC 9293, section 3.10.4).
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def logs_in(self) -> None:
        self.say(GREETING, *WELCOME, NO_ROOMS)
        await self.wire.log_in("Hugo", "")
        assert [await self.hear(), await self.hear()] == ["Hugo", "/rooms"]


def run(scenario, **timeouts) -> None:
    async def run():
        async with asyncio.timeout(10), Session(**timeouts) as session:
            await scenario(session)

    asyncio.run(run())


class TestLoggingIn:
    def test_it_sends_the_name_and_learns_who_is_here(self):
        async def scenario(session):
            await session.logs_in()
            assert (session.state.name, session.state.people) == ("Hugo", {"ada", "Hugo"})
            assert [item.text for item in session.shown] == [line.removeprefix("-!- ") for line in WELCOME]

        run(scenario)

    def test_an_account_logs_in_with_its_password(self):
        async def scenario(session):
            session.say(GREETING, "-!- You are Sue*. 1 here: Sue*", "-!- Your rooms: Quite Interesting | Taskmaster")
            await session.wire.log_in("Sue", "pass word")
            assert await session.hear() == "/login Sue pass word"
            assert session.state.groups == ("Quite Interesting", "Taskmaster")
            assert session.state.password == "pass word"

        run(scenario)

    def test_a_guest_keeps_no_password(self):
        async def scenario(session):
            session.say(GREETING, *WELCOME, NO_ROOMS)
            await session.wire.log_in("Hugo", "not needed")
            assert session.state.password == ""

        run(scenario)

    def test_it_begins_outside_of_every_room(self):
        async def scenario(session):
            for room in ("Quite Interesting", "Taskmaster"):
                session.state.enter_room(room)
            await session.logs_in()
            assert (session.state.rooms, session.state.room) == ([], None)

        run(scenario)

    @pytest.mark.parametrize(("answers", "sentence", "code"), [
        ([GREETING, "-!- Somebody here already has that name."], "Somebody here already has that name.", "name-taken"),
        ([GREETING, "-!- It needs a password. Type: /login NAME PASSWORD"], "It needs a password.", "bad-credentials"),
        ([GREETING, "-!- \x1b[31mNo."], "\ufffd[31mNo.", None),
        (["-!- The server has no room for another connection."], "The server has no room for another connection.",
         "server-full"),
    ])
    def test_a_refusal_gives_the_reason(self, answers, sentence, code):
        async def scenario(session):
            session.say(*answers)
            with pytest.raises(Refused) as refused:
                await session.wire.log_in("Hugo", "")
            assert (str(refused.value), refused.value.code) == (sentence, code)

        run(scenario)

    def test_a_server_that_does_not_answer_like_a_chat_is_given_up(self):
        async def scenario(session):
            with pytest.raises(ConnectionLost, match="no webchat for lines"):
                await session.wire.log_in("Hugo", "")

        run(scenario, answer_timeout=0.05)

    def test_a_server_that_closes_without_an_answer_is_a_lost_connection(self):
        async def scenario(session):
            session.end()
            with pytest.raises(ConnectionLost, match="The server has closed the connection"):
                await session.wire.log_in("Hugo", "")

        run(scenario)

    def test_a_port_on_which_nobody_listens_is_a_lost_connection(self):
        async def scenario(session):
            free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            port = free.sockets[0].getsockname()[1]
            free.close()
            await free.wait_closed()
            with pytest.raises(ConnectionLost, match="nobody listens there"):
                await LineWire.open(Address("127.0.0.1", port), session.state, session.shown.append)

        run(scenario)


class TestDelivery:
    def test_it_ends_when_the_server_has_processed_the_line(self):
        async def scenario(session):
            await session.logs_in()
            delivery = asyncio.create_task(session.wire.deliver("hello"))
            assert [await session.hear(), await session.hear()] == ["hello", "/rooms"]
            assert not delivery.done()
            session.say(NO_ROOMS)
            await delivery

        run(scenario)

    def test_the_request_that_waits_for_the_server_is_not_shown(self):
        async def scenario(session):
            await session.logs_in()
            before = len(session.shown)
            session.say(NO_ROOMS)
            await session.wire.deliver("hello")
            assert session.shown[before:] == []

        run(scenario)

    def test_a_refusal_is_not_confused_with_what_others_do(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- ada has left", "bob: hi", "-!- Too many messages at once; wait a moment.", NO_ROOMS)
            with pytest.raises(Refused) as refused:
                await session.wire.deliver("hello")
            assert refused.value.code == "slow-down"
            assert [item.text for item in session.shown[2:]] == ["ada has left", "hi"]
            assert session.state.people == {"Hugo"}

        run(scenario)

    def test_a_refusal_belongs_to_its_own_line_only(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- Too many messages at once; wait a moment.", NO_ROOMS)
            with pytest.raises(Refused):
                await session.wire.deliver("hello")
            session.say(NO_ROOMS)
            await session.wire.deliver("hello again")

        run(scenario)

    def test_the_answer_to_a_command_is_shown(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- 2 here: ada | bob", NO_ROOMS)
            await session.wire.deliver("/users")
            assert session.shown[-1].text == "2 here: ada | bob"
            assert session.state.people == {"ada", "bob"}

        run(scenario)

    def test_a_sentence_after_the_answer_to_a_line_is_no_refusal_of_it(self):
        async def scenario(session):
            await session.logs_in()
            delivery = asyncio.create_task(session.wire.deliver("hello"))
            assert [await session.hear(), await session.hear()] == ["hello", "/rooms"]
            session.say(NO_ROOMS, "-!- The server is going down.")
            await delivery
            assert session.shown[-1].text == "The server is going down."

        run(scenario)

    def test_a_delivery_that_was_given_up_does_not_hide_what_the_server_says_later(self):
        async def scenario(session):
            await session.logs_in()
            delivery = asyncio.create_task(session.wire.deliver("hello"))
            assert await session.hear() == "hello"
            delivery.cancel()
            await asyncio.wait([delivery])
            session.say("-!- The server is going down.")
            session.end()
            await session.wire.wait_closed()
            assert session.shown[-1].text == "The server is going down."

        run(scenario)

    def test_it_fails_when_the_connection_ends_first(self):
        async def scenario(session):
            await session.logs_in()
            delivery = asyncio.create_task(session.wire.deliver("hello"))
            await session.hear()
            session.end()
            assert await session.wire.wait_closed() == "The server has closed the connection"
            with pytest.raises(ConnectionLost):
                await delivery

        run(scenario)


class TestReceiving:
    def test_each_kind_of_message_is_shown_as_what_it_is(self):
        async def scenario(session):
            await session.logs_in()
            session.say("ada: hi", "[private] ada: psst", "[#Taskmaster] ada: hello room", "-!- ada has left", NO_ROOMS)
            await session.wire.deliver("/rooms")
            said = [(item.sender, item.text, item.room, item.private) for item in session.shown[2:5]]
            assert said == [("ada", "hi", None, False), ("ada", "psst", None, True),
                            ("ada", "hello room", "Taskmaster", False)]
            assert isinstance(session.shown[5], SystemMessage)

        run(scenario)

    def test_who_comes_is_added_to_the_people(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- bob has joined", "-!- eve has joined #Taskmaster", NO_ROOMS)
            await session.wire.deliver("/rooms")
            assert session.state.people == {"ada", "Hugo", "bob"}

        run(scenario)

    def test_a_new_name_is_learned_together_with_its_password(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- You are Sue*. 2 here: ada | Sue*", NO_ROOMS)
            await session.wire.send("/login Sue secret")
            await session.wire.deliver("/rooms")
            assert (session.state.name, session.state.password) == ("Sue*", "secret")

        run(scenario)

    def test_a_reset_ends_the_connection_with_a_reason(self):
        async def scenario(session):
            await session.logs_in()
            session.reset()
            assert await session.wire.wait_closed() == "The connection is lost"

        run(scenario)

    def test_a_server_that_closes_is_answered_with_the_end_of_the_connection(self):
        async def scenario(session):
            await session.logs_in()
            session.end()
            assert await session.hear() == ""

        run(scenario)


class TestOwnWords:
    @pytest.mark.parametrize(("line", "shown"), [
        ("hello", ("Hugo", "hello", None, False, None)),
        ("Hugo: hello", ("Hugo", "hello", None, False, None)),
        ("/me waves", ("Hugo", "_waves_", None, False, None)),
        ('/msg "Ada Love" psst', ("Hugo", "psst", None, True, "Ada Love")),
    ])
    def test_are_shown_because_the_server_does_not_send_them_back(self, line, shown):
        async def scenario(session):
            await session.logs_in()
            await session.wire.send(line)
            said = session.shown[-1]
            assert (said.sender, said.text, said.room, said.private, said.to) == shown

        run(scenario)

    def test_to_the_user_themselves_are_shown_when_the_server_sends_them_back(self):
        async def scenario(session):
            await session.logs_in()
            before = len(session.shown)
            await session.wire.send("/msg Hugo remember the milk")
            assert session.shown[before:] == []

        run(scenario)

    def test_in_several_lines_are_sent_and_shown_one_by_one_without_the_empty_ones(self):
        async def scenario(session):
            await session.logs_in()
            await session.wire.send("one\n\ntwo")
            assert [await session.hear(), await session.hear()] == ["one", "two"]
            assert [item.text for item in session.shown[-2:]] == ["one", "two"]

        run(scenario)

    def test_in_a_room_name_the_room(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- What you type goes to #Taskmaster now; /part leaves it.", NO_ROOMS)
            await session.wire.join("#TaskMaster")
            await session.wire.send("hello")
            assert session.shown[-1] == UserMessage("Hugo", "hello", room="Taskmaster", at=session.shown[-1].at)

        run(scenario)

    def test_that_the_server_answers_are_not_shown_and_passwords_never(self):
        async def scenario(session):
            await session.logs_in()
            before = len(session.shown)
            for line in ("/users", "/login Sue secret", "/msg nobody", "/dance"):
                await session.wire.send(line)
                assert await session.hear() == line
            assert session.shown[before:] == []

        run(scenario)


class TestRooms:
    def test_a_room_that_the_user_is_not_a_member_of_is_refused(self):
        async def scenario(session):
            await session.logs_in()
            session.say("-!- You are not a member of that room.", NO_ROOMS)
            with pytest.raises(Refused):
                await session.wire.join("Taskmaster")

        run(scenario)

    def test_a_room_is_left_when_the_user_leaves_it(self):
        async def scenario(session):
            await session.logs_in()
            session.state.enter_room("Quite Interesting")
            session.state.enter_room("Taskmaster")
            await session.wire.send("/part Quite Interesting")
            assert session.state.rooms == ["Taskmaster"]
            session.say("-!- You have left the room. What you type goes to everyone.", NO_ROOMS)
            await session.wire.deliver("/rooms")
            assert (session.state.rooms, session.state.room) == ([], None)

        run(scenario)


class TestLeaving:
    def test_it_waits_until_the_server_has_processed_everything(self):
        async def scenario(session):
            await session.logs_in()
            leaving = asyncio.create_task(session.wire.close())
            assert await session.hear() == "/quit"
            assert not leaving.done()
            session.say("-!- Goodbye.")
            session.end()
            await leaving
            assert "Goodbye." not in [item.text for item in session.shown]

        run(scenario)

    def test_a_server_that_does_not_close_is_not_waited_for_any_longer(self):
        async def scenario(session):
            await session.logs_in()
            await session.wire.close()
            assert await session.hear() == "/quit"
            assert await session.hear() == ""

        run(scenario, close_timeout=0.05)

    def test_it_does_not_fail_on_a_lost_connection(self):
        async def scenario(session):
            await session.logs_in()
            session.reset()
            await session.wire.wait_closed()
            await session.wire.close()

        run(scenario)
