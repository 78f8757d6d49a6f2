"""A connection that comes back: its pauses, its rooms, and what becomes of lines meanwhile."""

import asyncio
import errno
import socket
from itertools import islice, repeat

import pytest

from webchat.clients.link import LONGEST_PAUSE, Here, Link, Lost, Refused, is_goodbye, pauses, unreachable


class FakeWire:
    """A connection that ends when the test says so."""

    def __init__(self, network: "Network", hear):
        self._network = network
        self.hear = hear
        self.end = asyncio.get_running_loop().create_future()
        self.sent: list[str] = []

    async def enter(self, name, password):
        if self._network.refusals:
            raise Refused(self._network.refusals.pop(0))
        self._network.here.rooms = []
        self.name = name

    async def join(self, room):
        if room in self._network.closed_rooms:
            raise Refused("No.")
        self._network.here.enter(room)

    async def send(self, line):
        if self.end.done():
            raise Lost("The connection is lost")
        self.sent.append(line)

    async def ended(self):
        return await asyncio.shield(self.end)

    def abort(self):
        pass


class Network:
    """What connects, how often, and what is told about it."""

    def __init__(self):
        self.here = Here(name="Hugo*")
        self.wires: list[FakeWire] = []
        self.down = 0
        self.refusals: list[str] = []
        self.closed_rooms: set[str] = set()
        self.reports: list[str] = []
        self.statuses: list[str] = []
        self.link = Link(self._open, self.here, lambda item: None, self.reports.append, self._changed,
                         lambda: repeat(0))

    async def _open(self, hear):
        if self.down:
            self.down -= 1
            raise Lost("Cannot reach it")
        self.wires.append(FakeWire(self, hear))
        return self.wires[-1]

    def _changed(self):
        self.statuses.append(self.link.status)

    async def lose(self):
        """End the connection, and wait until the next one stands."""
        self.wires[-1].end.set_result("The server has closed the connection")
        while self.link.online:
            await asyncio.sleep(0)
        await self.link.wait_online()


def visit(scenario, **settings):
    """Run a scenario with somebody who is connected."""
    async def run():
        network = Network()
        vars(network).update(settings)
        await network.link.open()
        keeper = asyncio.create_task(network.link.keep())
        try:
            async with asyncio.timeout(10):
                await scenario(network)
        finally:
            keeper.cancel()
        return network
    return asyncio.run(run())


def test_pauses_double_from_half_a_second_to_fifteen():
    assert list(islice(pauses(jitter=lambda: 0), 8)) == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_pauses_are_shortened_by_a_fifth_at_most_so_that_not_everybody_comes_back_at_once():
    assert list(islice(pauses(jitter=lambda: 1), 3)) == [0.4, 0.8, 1.6]
    assert len(set(islice(pauses(), 7, 27))) == 20
    assert all(0.8 * LONGEST_PAUSE <= pause <= LONGEST_PAUSE for pause in islice(pauses(), 7, 27))


def test_it_logs_in_without_the_badge_and_says_that_it_is_connected():
    async def scenario(network):
        assert network.link.online
        assert network.wires[0].name == "Hugo"
        assert network.statuses == ["Connecting …", "Connected"]

    visit(scenario)


def test_a_lost_connection_is_opened_again_however_many_attempts_it_takes():
    async def scenario(network):
        network.down, network.refusals = 2, ["Somebody here already has that name."]
        await network.lose()
        assert len(network.wires) == 3
        network.reports.append("-")
        await network.lose()

    network = visit(scenario)
    assert network.reports[:-1] == [
        "The server has closed the connection. Trying to come back …", "Cannot reach it.",
        "Somebody here already has that name.", "Connected again as Hugo*.", "-",
        "The server has closed the connection. Trying to come back …",
    ]
    assert "Cannot reach it. Next attempt in 1 s" in network.statuses


def test_it_goes_back_to_its_rooms_before_anything_is_said():
    async def scenario(network):
        network.here.enter("Taskmaster")
        network.here.enter("Quite Interesting")
        await network.lose()
        assert network.here.rooms == ["Taskmaster", "Quite Interesting"]
        assert network.here.room == "Quite Interesting"

    visit(scenario)


def test_a_room_that_is_closed_meanwhile_keeps_nobody_out():
    async def scenario(network):
        network.here.enter("Taskmaster")
        network.closed_rooms = {"Taskmaster"}
        await network.lose()
        assert network.here.rooms == []
        assert "#Taskmaster: No." in network.reports

    visit(scenario)


def test_what_is_sent_while_there_is_no_connection_is_lost_for_the_caller_to_keep():
    async def scenario(network):
        network.wires[0].end.set_result("Gone")
        with pytest.raises(Lost):
            await network.link.send("hello")
        assert not network.link.online
        with pytest.raises(Lost):
            await network.link.send("hello")
        await network.link.wait_online()
        await network.link.send("hello again")
        assert [wire.sent for wire in network.wires] == [[], ["hello again"]]

    visit(scenario)


def test_a_refused_login_is_told_to_the_caller():
    network = Network()
    network.refusals = ["That name cannot be used."]
    with pytest.raises(Refused, match="That name"):
        asyncio.run(network.link.open())
    assert not network.link.online


@pytest.mark.parametrize(("line", "goodbye"), [
    ("quit", True), ("exit", True), ("/quit", True), (" Quit ", True), ("quit now", False), ("", False),
])
def test_which_lines_are_a_goodbye(line, goodbye):
    assert is_goodbye(line) == goodbye


@pytest.mark.parametrize(("error", "reason"), [
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nobody listens there"),
    (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed"),
     "nobody listens there"),
    (socket.gaierror(-2, "Name or service not known"), "there is no host of that name"),
    (TimeoutError(), "it does not answer"),
    (OSError(errno.EPROTO, "Protocol error"), "Protocol error"),
    (OSError(), "no connection came about"),
])
def test_why_no_connection_came_about_is_said_in_words(error, reason):
    assert str(unreachable("host:1", error)) == f"Cannot reach host:1: {reason}"


class TestHere:
    def test_the_room_entered_last_is_the_one_to_talk_in(self):
        here = Here()
        for room in ("a", "b", "a"):
            here.enter(room)
        assert (here.rooms, here.room) == (["b", "a"], "a")

    def test_out_of_the_room_one_talks_in_one_talks_to_everyone(self):
        here = Here()
        here.enter("a")
        here.enter("b")
        here.leave("A")
        assert (here.rooms, here.room) == (["b"], "b")
        here.leave("b")
        assert (here.rooms, here.room) == ([], None)

    def test_one_knows_oneself_with_and_without_the_badge(self):
        assert Here(name="Sue*").is_me("sue")
        assert not Here(name="Sue*").is_me("Susan")
