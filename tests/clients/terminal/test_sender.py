"""`webchat chat` in a pipe, with a network without sockets: what becomes of each line, and of what others say."""

import asyncio
import io
import os
import select
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.clients.network import Network
from webchat.clients.link import ChatState, ConnectionLost, Refused
from webchat.clients.terminal import pipe
from webchat.clients.transcript import SystemMessage, UserMessage

SLOW_DOWN = Refused("Too many messages at once; wait a moment.", "slow-down")


class Run:
    """Some lines for a `Sender`. A call sends them; then `sent`, `reports`, `pauses` and `status` tell what happened.

    `before` holds what happens just before a line of the input is read.
    """

    def __init__(self, *lines: str):
        self.network = Network(ChatState(name="bot"))
        self.reports: list[str] = []
        self.pauses: list[float] = []
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        self._lines = lines

    def __call__(self, room: str | None = None, **settings) -> "Run":
        async def run() -> int:
            async with asyncio.timeout(10):
                await self.network.link.open([room] if room else [])
                keeper = asyncio.create_task(self.network.link.keep_open())
                sender = pipe.Sender(self.network.link, self.reports.append, self._pause, **settings)
                try:
                    return await sender.send_all(self._input())
                finally:
                    keeper.cancel()

        self.status = asyncio.run(run())
        return self

    async def _input(self) -> AsyncIterator[str]:
        for line in self._lines:
            if line in self.before:
                await self.before[line]()
            yield line

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def sent(self) -> list[str]:
        return self.network.sent


class TestSending:
    def test_every_line_is_sent_in_order_and_empty_ones_are_left_out(self):
        run = Run("one", "", "  ", "two")()
        assert (run.sent, run.reports, run.status) == (["one", "two"], [], 0)

    def test_a_line_that_asks_to_leave_is_the_last(self):
        assert Run("one", "exit", "two")().sent == ["one"]

    def test_a_refused_line_is_reported_and_the_others_are_sent(self):
        run = Run("one", "bad", "two")
        run.network.refused_lines = {"bad": [Refused("A message has at most 4,096 characters.", "too-long")]}
        run()
        assert (run.sent, run.reports, run.status) == (["one", "two"], ["A message has at most 4,096 characters."], 1)

    def test_a_line_that_came_too_fast_is_sent_again_after_a_pause(self):
        run = Run("one", "two")
        run.network.refused_lines = {"one": [SLOW_DOWN, SLOW_DOWN]}
        run()
        assert (run.sent, run.reports, run.status) == (["one", "two"], [], 0)
        assert len(run.pauses) == 2 and all(pause > 0 for pause in run.pauses)


class TestLosingTheConnection:
    def test_a_line_is_sent_again_over_the_next_connection(self):
        run = Run("one", "two")

        async def lose():
            run.network.wires[0].end.set_result("The server has closed the connection")

        run.before["two"] = lose
        run()
        assert [wire.sent for wire in run.network.wires] == [["one"], ["two"]]
        assert run.status == 0

    def test_a_connection_that_does_not_come_back_in_time_ends_the_run(self):
        run = Run("one")

        async def lose():
            run.network.down = 1_000_000
            run.network.wires[0].end.set_result("The server has closed the connection")

        run.before["one"] = lose
        with pytest.raises(ConnectionLost):
            run(reconnect_timeout=0.01)
        assert run.sent == []

    def test_a_line_for_a_room_that_cannot_be_entered_again_is_not_said_to_everyone(self):
        run = Run("one", "secret")

        async def lose():
            run.network.closed_rooms = {"Taskmaster"}
            await run.network.lose()

        run.before["secret"] = lose
        run(room="Taskmaster")
        assert (run.sent, run.status) == (["one"], 1)
        assert run.reports == ["#Taskmaster could not be entered again; this has not been said: secret"]

    def test_a_room_that_the_input_itself_leaves_is_no_reason_to_refuse_the_rest(self):
        run = Run("/part", "to everyone")(room="Taskmaster")
        assert (run.sent, run.status) == (["/part", "to everyone"], 0)


class TestRunning:
    def test_it_logs_in_sends_everything_and_leaves(self):
        network = Network(ChatState(name="bot"))

        async def lines():
            yield "hello"

        assert asyncio.run(pipe.run(network.link, None, lines())) == 0
        assert network.sent == ["hello"]
        assert network.wires[0].closed

    def test_what_is_meant_for_a_room_that_refuses_the_user_is_not_said_to_everyone(self):
        network = Network(ChatState(name="bot"))
        network.closed_rooms = {"Taskmaster"}

        async def lines():
            yield "secret"

        assert asyncio.run(pipe.run(network.link, "Taskmaster", lines())) == 1
        assert network.sent == []
        assert network.wires[0].closed
        assert network.reports == ["#Taskmaster: No."]


class TestPrinting:
    @pytest.fixture
    def output(self):
        return io.StringIO()

    @pytest.fixture
    def printer(self, output):
        printer = pipe.Printer(ChatState(name="bot"), output)
        printer.set_status(True, "Connected")
        return printer

    def test_what_others_say_is_written_as_plain_lines(self, printer, output):
        printer.show(UserMessage("ada", "one\ntwo"))
        printer.show(SystemMessage("ada has left"))
        assert output.getvalue() == "ada: one\nada: two\n-!- ada has left\n"

    def test_the_users_own_words_are_not_written(self, printer, output):
        printer.show(UserMessage("bot", "hello"))
        assert output.getvalue() == ""

    def test_nothing_is_written_during_a_login(self, printer, output):
        printer.set_status(False, "Connecting …")
        printer.show(SystemMessage("You are bot. 1 here: bot"))
        assert output.getvalue() == ""

    def test_an_output_that_nobody_reads_is_no_error(self):
        read, write = os.pipe()
        with os.fdopen(write, "w") as output:
            printer = pipe.Printer(ChatState(name="bot"), output)
            printer.set_status(True, "Connected")
            os.close(read)
            printer.show(UserMessage("ada", "hello?"))
            printer.show(UserMessage("ada", "anybody?"))

    def test_characters_that_the_output_cannot_have_are_replaced(self, tmp_path):
        with (tmp_path / "output").open("w", encoding="ascii") as output:
            printer = pipe.Printer(ChatState(name="bot"), output)
            printer.set_status(True, "Connected")
            printer.show(UserMessage("Zoë", "hi"))
        assert (tmp_path / "output").read_text() == "Zo?: hi\n"


class TestReading:
    @staticmethod
    def read(data: bytes) -> list[str]:
        read, write = os.pipe()

        async def lines() -> list[str]:
            return [line async for line in pipe.read_lines(read)]

        with os.fdopen(write, "wb") as file:
            file.write(data)
        try:
            return asyncio.run(lines())
        finally:
            os.close(read)

    @pytest.mark.parametrize(("data", "lines"), [
        (b"", []), (b"one\n", ["one"]), (b"one\r\ntwo", ["one", "two"]), (b"\n\n", ["", ""]),
        ("Zoë\n".encode(), ["Zoë"]), (b"\xff\n", ["\ufffd"]),
    ])
    def test_lines_end_with_a_newline_or_with_the_input(self, data, lines):
        assert self.read(data) == lines

    def test_a_line_that_never_ends_is_refused(self, tmp_path):
        (tmp_path / "input").write_bytes(b"x" * (pipe.MAX_INPUT_LINE + 1))
        before = set(threading.enumerate())

        async def read(fileno: int) -> None:
            async for _ in pipe.read_lines(fileno):
                raise AssertionError("a line was read")

        with (tmp_path / "input").open("rb") as file:
            with pytest.raises(Refused, match="longer than any message may be"):
                asyncio.run(read(file.fileno()))
            for thread in set(threading.enumerate()) - before:
                thread.join()  # an exception in it fails the test that is running then

    def test_a_long_input_is_read_completely(self, tmp_path):
        expected = [f"line {number}" for number in range(200_000)]
        (tmp_path / "input").write_text("\n".join(expected))

        async def read(fileno: int) -> list[str]:
            return [line async for line in pipe.read_lines(fileno)]

        with (tmp_path / "input").open("rb") as file:
            assert asyncio.run(read(file.fileno())) == expected

    def test_the_program_that_writes_has_to_wait_while_nothing_is_sent(self):
        read, write = os.pipe()
        os.set_blocking(write, False)
        chunk = b"x" * (pipe.INPUT_READ_SIZE - 1) + b"\n"
        limit = (pipe.MAX_UNSENT_READS + 2) * pipe.INPUT_READ_SIZE + (1 << 20)  # and what the system's pipe holds

        async def fill() -> int:
            """Write as long as somebody reads, with only the first line taken out. Returns the bytes written."""
            written, lines = os.write(write, chunk), pipe.read_lines(read)
            await anext(lines)
            while written <= limit:
                _, writable, _ = select.select([], [write], [], 0.2)
                if not writable:
                    break
                written += os.write(write, chunk)
            os.close(write)
            async for _ in lines:
                pass
            return written

        try:
            assert asyncio.run(fill()) <= limit
        finally:
            os.close(read)
