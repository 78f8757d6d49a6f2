"""A connection of lines, against a peer that says what each test wants said."""

import asyncio

import pytest

from webchat.clients.address import Address
from webchat.clients.link import Here, Lost, Refused
from webchat.clients.terminal import line_wire
from webchat.clients.terminal.line_wire import LineWire
from webchat.clients.transcript import Sentence, Spoken

GREETING = "-!- Welcome to webchat. Type your name and press Enter."
WELCOME = ["-!- You are Hugo. 2 here: ada | Hugo", "-!- What you type goes to everyone."]
NO_ROOMS = "-!- You are not a member of any room."


class Visit:
    """Somebody whose client is connected, and the other end of the connection."""

    def __init__(self):
        self.here = Here()
        self.heard = []

    async def __aenter__(self) -> "Visit":
        peers = asyncio.Queue()
        self._server = await asyncio.start_server(lambda *streams: peers.put_nowait(streams), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.wire = await LineWire.open(Address("127.0.0.1", port), self.here, self.heard.append)
        self._reader, self._writer = await peers.get()
        return self

    async def __aexit__(self, *_) -> None:
        self.wire.abort()
        self._writer.close()
        self._server.close()
        await self._server.wait_closed()

    def say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self) -> str:
        return (await self._reader.readline()).decode().rstrip("\n")

    def end(self) -> None:
        self._writer.write_eof()

    async def enters(self) -> None:
        """Log in as a server would let one."""
        self.say(GREETING, *WELCOME, NO_ROOMS)
        await self.wire.enter("Hugo", "")
        assert [await self.hear(), await self.hear()] == ["Hugo", "/rooms"]


def visit(scenario) -> None:
    async def run():
        async with asyncio.timeout(10), Visit() as each:
            await scenario(each)

    asyncio.run(run())


def test_it_gives_its_name_and_knows_who_is_here():
    async def scenario(visit):
        await visit.enters()
        assert (visit.here.name, visit.here.people) == ("Hugo", {"ada", "Hugo"})
        assert [item.text for item in visit.heard] == [line.removeprefix("-!- ") for line in WELCOME]

    visit(scenario)


def test_an_account_logs_in_with_its_password():
    async def scenario(visit):
        visit.say(GREETING, "-!- You are Sue*. 1 here: Sue*", "-!- Your rooms: Quite Interesting | Taskmaster")
        await visit.wire.enter("Sue", "pass word")
        assert await visit.hear() == "/login Sue pass word"
        assert visit.here.groups == ("Quite Interesting", "Taskmaster")
        assert visit.here.password == "pass word"

    visit(scenario)


@pytest.mark.parametrize(("answers", "sentence", "code"), [
    ([GREETING, "-!- Somebody here already has that name."], "Somebody here already has that name.", "name-taken"),
    ([GREETING, "-!- It needs a password. Type: /login NAME PASSWORD"], "It needs a password.", "bad-credentials"),
    ([GREETING, "-!- \x1b[31mNo."], "\ufffd[31mNo.", None),
    (["-!- The server has no room for another connection."], "The server has no room for another connection.",
     "server-full"),
])
def test_a_refusal_says_why(answers, sentence, code):
    async def scenario(visit):
        visit.say(*answers)
        with pytest.raises(Refused) as refused:
            await visit.wire.enter("Hugo", "")
        assert (str(refused.value), refused.value.code) == (sentence, code)

    visit(scenario)


def test_what_does_not_answer_like_a_chat_is_given_up(monkeypatch):
    monkeypatch.setattr(line_wire, "ANSWER_TIME", 0.05)

    async def scenario(visit):
        with pytest.raises(Lost, match="no webchat for lines"):
            await visit.wire.enter("Hugo", "")

    visit(scenario)


def test_the_end_of_the_connection_is_told_to_everybody_who_waits():
    async def scenario(visit):
        await visit.enters()
        delivery = asyncio.create_task(visit.wire.deliver("hello"))
        await visit.hear()
        visit.end()
        assert await visit.wire.ended() == "The server has closed the connection"
        with pytest.raises(Lost):
            await delivery

    visit(scenario)


class TestDelivery:
    def test_it_ends_when_the_server_has_dealt_with_the_line(self):
        async def scenario(visit):
            await visit.enters()
            delivery = asyncio.create_task(visit.wire.deliver("hello"))
            assert [await visit.hear(), await visit.hear()] == ["hello", "/rooms"]
            assert not delivery.done()
            visit.say(NO_ROOMS)
            await delivery

        visit(scenario)

    def test_a_refusal_is_told_from_what_happens_by_chance(self):
        async def scenario(visit):
            await visit.enters()
            visit.say("-!- ada has left", "bob: hi", "-!- Too many messages at once; wait a moment.", NO_ROOMS)
            with pytest.raises(Refused) as refused:
                await visit.wire.deliver("hello")
            assert refused.value.code == "slow-down"
            assert [item.text for item in visit.heard[2:]] == ["ada has left", "hi"]
            assert visit.here.people == {"Hugo"}

        visit(scenario)

    def test_the_answer_to_a_command_is_shown(self):
        async def scenario(visit):
            await visit.enters()
            visit.say("-!- 2 here: ada | bob", NO_ROOMS)
            await visit.wire.deliver("/users")
            assert visit.heard[-1].text == "2 here: ada | bob"
            assert visit.here.people == {"ada", "bob"}

        visit(scenario)


class TestOnesOwnWords:
    @pytest.mark.parametrize(("line", "shown"), [
        ("hello", ("Hugo", "hello", None, False, None)),
        ("Hugo: hello", ("Hugo", "hello", None, False, None)),
        ("/me waves", ("Hugo", "_waves_", None, False, None)),
        ('/msg "Ada Love" psst', ("Hugo", "psst", None, True, "Ada Love")),
    ])
    def test_are_shown_because_the_server_does_not_send_them_back(self, line, shown):
        async def scenario(visit):
            await visit.enters()
            await visit.wire.send(line)
            said = visit.heard[-1]
            assert (said.sender, said.text, said.room, said.private, said.to) == shown

        visit(scenario)

    def test_in_a_room_say_so(self):
        async def scenario(visit):
            await visit.enters()
            visit.say("-!- What you type goes to #Taskmaster now; /part leaves it.", NO_ROOMS)
            await visit.wire.join("taskmaster")
            await visit.wire.send("hello")
            assert visit.heard[-1] == Spoken("Hugo", "hello", room="Taskmaster", at=visit.heard[-1].at)

        visit(scenario)

    def test_a_command_that_the_server_answers_is_not_shown_and_passwords_never(self):
        async def scenario(visit):
            await visit.enters()
            before = len(visit.heard)
            for line in ("/users", "/login Sue secret", "/msg nobody", "/dance"):
                await visit.wire.send(line)
                assert await visit.hear() == line
            assert len(visit.heard) == before

        visit(scenario)


def test_a_room_that_one_cannot_enter_is_refused():
    async def scenario(visit):
        await visit.enters()
        visit.say("-!- You are not a member of that room.", NO_ROOMS)
        with pytest.raises(Refused):
            await visit.wire.join("Taskmaster")

    visit(scenario)


def test_leaving_waits_until_the_server_has_taken_everything_in():
    async def scenario(visit):
        await visit.enters()
        leaving = asyncio.create_task(visit.wire.leave())
        assert await visit.hear() == "/quit"
        assert not leaving.done()
        visit.say("-!- Goodbye.")
        visit.end()
        await leaving
        assert Sentence("Goodbye.") not in visit.heard

    visit(scenario)


def test_what_the_server_says_after_the_answer_to_a_line_is_no_refusal_of_it():
    async def scenario(visit):
        await visit.enters()
        delivery = asyncio.create_task(visit.wire.deliver("hello"))
        assert [await visit.hear(), await visit.hear()] == ["hello", "/rooms"]
        visit.say(NO_ROOMS, "-!- The server is going down.")  # in one segment
        await delivery
        assert visit.heard[-1].text == "The server is going down."

    visit(scenario)
