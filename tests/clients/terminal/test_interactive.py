"""A visit at a terminal, with keys from the test and a network without sockets."""

import asyncio
import io
import re
from collections.abc import Coroutine
from itertools import repeat

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from tests.clients.network import Network
from tests.clients.terminal_user import CURSOR_POSITION_REQUEST
from tests.program import PATIENCE
from webchat.clients.link import ChatState, ConnectionLost, Refused
from webchat.clients.terminal import interactive
from webchat.clients.terminal.screen import Screen
from webchat.clients.transcript import SystemMessage, UserMessage

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")

BAD_PASSWORD = Refused("That name belongs to an account, and the password does not match.", "bad-credentials")
NAME_TAKEN = Refused("Somebody here already has that name.", "name-taken")


class Terminal(io.StringIO):
    """What has been written to a terminal, which reports its cursor position when it is asked for it."""

    def __init__(self, keys):
        super().__init__()
        self._keys = keys

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._keys.send_text("\x1b[1;1R" * text.count(CURSOR_POSITION_REQUEST))
        return super().write(text)


class Visit:
    """A screen, its keys, and the network behind it. `types` presses keys; `sees` waits for a text on the screen."""

    def __init__(self, keys, **state):
        self._keys = keys
        self._written = Terminal(keys)
        self._seen = 0
        output = Vt100_Output(self._written, lambda: Size(rows=30, columns=110), term="xterm-256color")
        self.state = ChatState(**state)
        self.screen = Screen(self.state, keys, output)
        self.network = Network(self.state, self.screen.show, self.reports, self.screen.set_status)
        self.link = self.network.link

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self._written.getvalue())

    @property
    def sent(self) -> list[str]:
        return self.network.sent

    def reports(self, sentence: str) -> None:
        self.screen.show(SystemMessage(sentence))

    def types(self, keys: str) -> None:
        self._keys.send_text(keys)

    async def sees(self, wanted: str) -> None:
        """Wait for a text after the last one. Only what changes is written; a message redraws the prompt as well."""
        while (at := self.text.find(wanted, self._seen)) < 0:
            await asyncio.sleep(0)
        self._seen = at + len(wanted)

    async def has_sent(self, *lines: str) -> None:
        while self.sent != list(lines):
            await asyncio.sleep(0)


    async def together(self, *coroutines: Coroutine[None, None, None]) -> None:
        """Run what happens at the same time, until all of it is over."""
        tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
        _, unfinished = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_EXCEPTION)
        for task in reversed(tasks):
            if task in unfinished:
                task.cancel()
            else:
                await task
        assert not unfinished, f"still waiting at:\n{self.text[self._seen:]}"


def visit(scenario, room=None, asks_password=False, **state) -> Visit:
    """Run a visit together with a scenario, until the visit is over."""

    async def run(visit: Visit) -> None:
        await visit.together(scenario(visit), interactive.run(visit.link, visit.screen, room, asks_password))

    with create_pipe_input() as keys:
        visit = Visit(keys, **state)
        asyncio.run(run(visit))
    return visit


def login(scenario, asks_password=False, refusals=(), down=0, **state) -> Visit:
    """Run a login together with a scenario."""

    async def run(visit: Visit) -> None:
        await visit.together(
            scenario(visit), interactive.log_in(visit.link, visit.screen, [], asks_password, pauses=lambda: repeat(0)))

    with create_pipe_input() as keys:
        visit = Visit(keys, **state)
        visit.network.refused_logins, visit.network.down = list(refusals), down
        asyncio.run(run(visit))
    return visit


class TestLoggingIn:
    def test_the_name_is_asked_for_until_there_is_one(self):
        async def scenario(visit):
            await visit.sees("Name:")
            visit.types("\r")
            await visit.sees("Name:")
            visit.types(" ada \r")

        assert login(scenario).network.wires[0].name == "ada"

    def test_nothing_is_asked_where_name_and_password_are_given(self):
        async def scenario(visit):
            pass

        visited = login(scenario, asks_password=True, name="Sue", password="password")
        assert (visited.network.wires[0].name, visited.network.wires[0].password) == ("Sue", "password")

    def test_over_lines_a_password_is_asked_for_when_the_server_wants_one(self):
        async def scenario(visit):
            await visit.sees("Password of Sue (Enter for another name):")
            visit.types("pass word\r")

        visited = login(scenario, refusals=[BAD_PASSWORD], name="Sue")
        assert [wire.password for wire in visited.network.wires] == ["", "pass word"]
        assert "pass word" not in visited.text

    def test_over_lines_no_password_means_another_name(self):
        async def scenario(visit):
            await visit.sees("Password of Sue")
            visit.types("\r")
            await visit.sees("Name:")
            visit.types("guest\r")

        visited = login(scenario, refusals=[BAD_PASSWORD], name="Sue")
        assert [wire.name for wire in visited.network.wires] == ["Sue", "guest"]

    def test_over_a_websocket_the_password_is_asked_for_before_the_login_and_again_after_a_refusal(self):
        async def scenario(visit):
            await visit.sees("Password (Enter for a guest):")
            visit.types("guess\r")
            await visit.sees("That name belongs to an account")
            await visit.sees("Name:")
            visit.types("Sue\r")
            await visit.sees("Password (Enter for a guest):")
            visit.types("password\r")

        visited = login(scenario, asks_password=True, refusals=[BAD_PASSWORD], name="Sue")
        assert [wire.password for wire in visited.network.wires] == ["guess", "password"]

    def test_a_refused_name_is_explained_and_asked_for_again(self):
        async def scenario(visit):
            await visit.sees("-!- Somebody here already has that name.")
            await visit.sees("Name:")
            visit.types("late\r")

        assert login(scenario, refusals=[NAME_TAKEN], name="early").network.wires[-1].name == "late"

    def test_a_server_that_is_not_there_is_tried_again_until_it_is(self):
        async def scenario(visit):
            await visit.sees("Cannot reach it; next attempt in 1 s (Ctrl-C ends this).")

        assert login(scenario, down=2, name="ada").network.wires[0].name == "ada"

    @pytest.mark.parametrize("key", ["\x03", "\x04"])
    def test_it_can_be_given_up(self, key):
        async def scenario(visit):
            await visit.sees("Name:")
            visit.types(key)

        assert visit(scenario).network.wires == []


class TestChoosingARoom:
    GROUPS = ("Quite Interesting", "Taskmaster")

    def choose(self, *answers: str, groups=GROUPS, refused=()) -> Visit:
        async def run(visit: Visit) -> None:
            async def answer() -> None:
                for each in answers:
                    await visit.sees("Its number or name (Enter for none):")
                    visit.types(f"{each}\r")

            await visit.link.open()
            visit.network.refused_lines = {line: [Refused("You are not a member of that room.")] for line in refused}
            await visit.together(answer(), interactive.offer_rooms(visit.link, visit.screen))

        with create_pipe_input() as keys:
            visit = Visit(keys, name="Sue*")
            visit.network.groups = groups
            asyncio.run(run(visit))
        return visit

    @pytest.mark.parametrize(("answer", "sent"), [
        ("2", ['/join "Taskmaster"']), ("taskmaster", ['/join "taskmaster"']), ("", []), ("3", ['/join "3"']),
        ("0", ['/join "0"']),
    ])
    def test_by_its_number_or_name_or_none(self, answer, sent):
        assert self.choose(answer).sent == sent

    def test_a_refused_room_is_explained_and_the_question_asked_again(self):
        visit = self.choose("Elsewhere", "1", refused=['/join "Elsewhere"'])
        assert "-!- You are not a member of that room." in visit.text
        assert visit.sent == ['/join "Quite Interesting"']

    def test_is_not_offered_to_those_without_groups(self):
        assert "Join a chat room" not in self.choose(groups=()).text

    def test_is_offered_over_a_websocket_unless_a_room_was_given(self):
        async def chooses(visit):
            visit.network.groups = self.GROUPS
            await visit.sees("Its number or name")
            visit.types("\r")
            await visit.sees("Sue>")
            visit.types("quit\r")

        async def does_not(visit):
            visit.network.groups = self.GROUPS
            await visit.sees("Sue #Taskmaster>")
            visit.types("quit\r")

        visit(chooses, asks_password=True, name="Sue", password="password")
        visit(does_not, room="Taskmaster", asks_password=True, name="Sue", password="password")


class TestTalking:
    def test_each_line_is_sent_and_empty_ones_are_not(self):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.types("one\r\r  \rtwo\rexit\r")

        assert visit(scenario, name="ada").sent == ["one", "two"]

    def test_what_arrives_is_printed_above_the_prompt(self):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.types("half a li")
            await visit.sees("half a li")
            visit.network.wires[0].show(UserMessage("bob", "hello"))
            await visit.sees("bob: hello\n")
            await visit.sees("ada> half a li")
            visit.types("ne\r\x04")

        assert visit(scenario, name="ada").sent == ["half a line"]

    def test_a_refused_line_is_explained(self):
        async def scenario(visit):
            visit.network.refused_lines = {"hello": [Refused("Wait a moment.")]}
            await visit.sees("ada>")
            visit.types("hello\r")
            await visit.sees("-!- Wait a moment.")
            visit.types("\x04")

        assert visit(scenario, name="ada").sent == []

    def test_the_prompt_names_the_room_and_the_toolbar_the_connection(self):
        async def scenario(visit):
            visit.state.people = {"ada", "bob"}
            await visit.sees("ada>")
            await visit.sees("Connected as ada · to everyone · 2 here")
            visit.state.enter_room("Taskmaster")
            visit.reports("You are in #Taskmaster.")
            await visit.sees("ada #Taskmaster>")
            await visit.sees("in #Taskmaster · 2 here")
            visit.types("\x04")

        visit(scenario, name="ada")

    def test_the_history_of_the_prompt_has_no_line_with_a_password(self):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.types("hello\r/LOGIN Sue secret\r")
            await visit.has_sent("hello", "/LOGIN Sue secret")
            while len(visit.sent) == 2:  # the prompt loads its history in the background
                visit.types("\x1b[A\r")
                await asyncio.sleep(0)
            visit.types("\x04")

        assert set(visit(scenario, name="ada").sent[2:]) == {"hello"}

    def test_a_line_typed_without_a_connection_stays_in_the_prompt(self):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.screen.set_status(False, "Next attempt in 1 s")
            visit.reports("Trying to come back …")
            await visit.sees("ada (offline)>")
            await visit.sees("Next attempt in 1 s")
            visit.types("keep this\r")
            await visit.sees("Your line is kept; press Enter when the connection is back.")
            visit.screen.set_status(True, "Connected")
            visit.reports("Connected again")
            await visit.sees("ada> keep this")
            visit.types("\r")
            await visit.has_sent("keep this")
            visit.types("\x04")

        visit(scenario, name="ada")

    def test_a_line_that_may_not_have_arrived_is_put_back_before_what_was_typed_since(self):
        async def scenario(visit):
            visit.network.refused_lines = {"lost": [ConnectionLost("The connection is lost")]}
            await visit.sees("ada>")
            visit.types("lost\rtyped since")
            await visit.sees("This line may not have arrived.")
            visit.network.wires[0].end.set_result("The server has closed the connection")
            await visit.sees("Connected again as ada")
            await visit.sees("typed since")
            visit.types("\r")
            await visit.has_sent("lost\ntyped since")
            visit.types("\x04")

        visit(scenario, name="ada")


class TestLeaving:
    @pytest.mark.parametrize("keys", ["quit\r", "exit\r", "/quit\r", "\x04", "\x03"])
    def test_closes_the_connection(self, keys):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.types(keys)

        assert visit(scenario, name="ada").network.wires[0].closed

    def test_by_a_signal_closes_the_connection_too(self):
        async def run(visit: Visit) -> None:
            task = asyncio.create_task(interactive.run(visit.link, visit.screen, None, False))
            await visit.sees("ada>")
            task.cancel()
            await task

        with create_pipe_input() as keys:
            visit = Visit(keys, name="ada")
            asyncio.run(run(visit))
        assert visit.network.wires[0].closed

    def test_what_arrived_last_is_still_printed(self):
        async def scenario(visit):
            await visit.sees("ada>")
            visit.types("\x04")
            visit.screen.show(SystemMessage("bob has left"))

        assert "-!- bob has left" in visit(scenario, name="ada").text
