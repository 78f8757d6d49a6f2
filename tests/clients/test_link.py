"""A connection that is opened again when it is lost: its pauses, its rooms, and the lines sent meanwhile."""

import asyncio
import errno
import socket
from itertools import islice

import pytest

from tests.clients.network import Network
from webchat.clients.link import MAX_PAUSE, ChatState, ConnectionLost, Refused, is_quit, pauses, unreachable


def connected(scenario) -> Network:
    """Run a scenario with a link that is connected. Returns its network."""

    async def run():
        network = Network(ChatState(name="Hugo*"))
        await network.link.open()
        keeper = asyncio.create_task(network.link.keep_open())
        try:
            async with asyncio.timeout(10):
                await scenario(network)
        finally:
            keeper.cancel()
        return network

    return asyncio.run(run())


def test_pauses_double_from_half_a_second_to_fifteen():
    assert list(islice(pauses(jitter=lambda: 0), 8)) == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_pauses_are_shortened_at_random_by_a_fifth_at_most_so_that_clients_do_not_reconnect_all_at_once():
    assert list(islice(pauses(jitter=lambda: 1), 3)) == [0.4, 0.8, 1.6]
    assert len(set(islice(pauses(), 7, 27))) == 20
    assert all(0.8 * MAX_PAUSE <= pause <= MAX_PAUSE for pause in islice(pauses(), 7, 27))


def test_it_logs_in_without_the_badge_and_says_that_it_is_connected():
    async def scenario(network):
        assert network.link.online
        assert network.wires[0].name == "Hugo"
        assert network.statuses == [(False, "Connecting …"), (True, "Connected")]

    connected(scenario)


def test_a_lost_connection_is_opened_again_however_many_attempts_it_takes():
    async def scenario(network):
        network.down, network.refused_logins = 2, [Refused("Somebody here already has that name.")]
        await network.lose()
        assert len(network.wires) == 3
        network.reports.append("-")
        await network.lose()

    network = connected(scenario)
    assert network.reports[:-1] == [
        "The server has closed the connection. Trying to come back …", "Cannot reach it.",
        "Somebody here already has that name.", "Connected again as Hugo*.", "-",
        "The server has closed the connection. Trying to come back …",
    ]
    assert (False, "Cannot reach it. Next attempt in 1 s") in network.statuses


def test_it_enters_its_rooms_again_before_anything_is_sent():
    async def scenario(network):
        network.state.enter_room("Taskmaster")
        network.state.enter_room("Quite Interesting")
        await network.lose()
        assert network.state.rooms == ["Taskmaster", "Quite Interesting"]
        assert network.state.room == "Quite Interesting"

    connected(scenario)


def test_a_room_that_refuses_the_user_does_not_keep_them_out_of_the_chat():
    async def scenario(network):
        network.state.enter_room("Taskmaster")
        network.closed_rooms = {"Taskmaster"}
        await network.lose()
        assert network.state.rooms == []
        assert "#Taskmaster: No." in network.reports

    connected(scenario)


def test_sending_without_a_connection_fails_so_that_the_caller_can_keep_the_line():
    async def scenario(network):
        network.wires[0].end.set_result("Gone")
        with pytest.raises(ConnectionLost):
            await network.link.send("hello")
        assert not network.link.online
        with pytest.raises(ConnectionLost):
            await network.link.send("hello")
        await network.link.wait_online()
        await network.link.send("hello again")
        assert [wire.sent for wire in network.wires] == [[], ["hello again"]]

    connected(scenario)


def test_a_refused_login_is_raised_to_the_caller():
    network = Network(ChatState(name="Hugo"))
    network.refused_logins = [Refused("That name cannot be used.")]
    with pytest.raises(Refused, match="That name"):
        asyncio.run(network.link.open())
    assert not network.link.online
    assert network.wires[0].aborted


def test_delivering_waits_for_the_server_and_fails_like_sending():
    async def scenario(network):
        await network.link.deliver("hello")
        assert network.wires[0].sent == ["hello"]
        network.wires[0].end.set_result("Gone")
        with pytest.raises(ConnectionLost):
            await network.link.deliver("hello")

    connected(scenario)


def test_a_failed_send_gives_its_own_reason_as_the_status():
    async def scenario(network):
        network.wires[0].end.set_result("Gone")
        with pytest.raises(ConnectionLost):
            await network.link.send("hello")
        assert network.link.status == "The connection is lost"
        with pytest.raises(ConnectionLost, match="The connection is lost"):
            await network.link.send("hello")

    connected(scenario)


def test_a_refused_line_leaves_the_connection_as_it_is():
    async def scenario(network):
        network.refused_lines = {"hello": [Refused("No.")]}
        with pytest.raises(Refused):
            await network.link.send("hello")
        assert network.link.online

    connected(scenario)


def test_leaving_closes_the_connection_and_sends_nothing_more():
    async def scenario(network):
        await network.link.close()
        assert network.wires[0].closed
        assert (network.link.online, network.link.status) == (False, "Goodbye")
        with pytest.raises(ConnectionLost):
            await network.link.send("hello")

    connected(scenario)


def test_leaving_before_the_first_connection_is_nothing_to_wait_for():
    network = Network(ChatState())
    asyncio.run(network.link.close())
    assert network.wires == []


@pytest.mark.parametrize(("line", "quits"), [
    ("quit", True), ("exit", True), ("/quit", True), (" Quit ", True), ("quit now", False), ("", False),
])
def test_which_lines_ask_to_leave(line, quits):
    assert is_quit(line) == quits


@pytest.mark.parametrize(("error", "reason"), [
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nobody listens there"),
    (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed"),
     "nobody listens there"),
    (socket.gaierror(-2, "Name or service not known"), "there is no host of that name"),
    (TimeoutError(), "it does not answer"),
    (OSError(errno.EPROTO, "Protocol error"), "Protocol error"),
    (OSError(), "the connection failed"),
])
def test_a_failed_connection_is_explained_in_words(error, reason):
    assert str(unreachable("host:1", error)) == f"Cannot reach host:1: {reason}"


class TestChatState:
    def test_typed_text_goes_to_the_room_entered_last(self):
        state = ChatState()
        for room in ("a", "b", "a"):
            state.enter_room(room)
        assert (state.rooms, state.room) == (["b", "a"], "a")

    def test_after_the_room_that_it_went_to_is_left_typed_text_goes_to_everyone(self):
        state = ChatState()
        state.enter_room("a")
        state.enter_room("b")
        state.last_ids.update(a="1", b="1")
        state.leave_room("A")
        assert state.last_ids == {"b": "1"}
        assert (state.rooms, state.room) == (["b"], "b")
        state.leave_room("b")
        assert (state.rooms, state.room) == ([], None)

    def test_the_users_own_name_is_recognised_with_and_without_the_badge(self):
        assert ChatState(name="Sue*").is_own_name("sue")
        assert not ChatState(name="Sue*").is_own_name("Susan")
