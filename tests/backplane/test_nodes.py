"""How a node learns of the others and their people: numbered changes, heartbeats, and requests for the whole state."""

import asyncio

import pytest

from tests.backplane.nodes import on_loop
from tests.chat.fakes import Chat, Clock
from webchat.backplane.nodes import STATE_RETRY, Nodes
from webchat.codecs.node import NAMES_PER_ITEM, Heartbeat, HeldName, NodePresence, NodeState, StateRequest

OTHER, THIRD = "1" * 16, "2" * 16


def held(name: str, authenticated: bool = False) -> HeldName:
    return HeldName(name, name, authenticated)


def state(seq: int, *names: str, part: int = 0, parts: int = 1) -> NodeState:
    return NodeState(seq, part, parts, tuple(map(held, names)))


class Sent:
    """Stands in for the publisher: keeps what is sent, with the node that it is sent to (None: everyone)."""

    def __init__(self):
        self.items = []

    def to_everyone(self, item):
        self.items.append((None, item))

    def to_node(self, node, item):
        self.items.append((node, item))

    def take(self):
        taken, self.items = self.items, []
        return taken


class World:
    def __init__(self):
        self.hub, self.sent, self.clock = Chat().hub, Sent(), Clock()
        self.nodes = Nodes(self.hub, self.sent, self.clock.time)

    def know(self, node: str, seq: int, *names: str) -> None:
        """Receive a node's whole state."""
        self.nodes.receive(node, state(seq, *names))
        self.sent.take()

    def users(self) -> set[str]:
        return set(self.hub.people.shown())


@pytest.fixture
def world():
    return World()


class TestOwnPeople:
    def test_each_change_is_sent_to_everyone_with_the_next_number(self, world):
        world.nodes.add_person(held("ada"))
        world.nodes.remove_person("ada")
        assert world.sent.take() == [(None, NodePresence(1, (held("ada"),), ())), (None, NodePresence(2, (), ("ada",)))]
        assert world.nodes.own_people == {}

    def test_a_heartbeat_repeats_the_number_of_the_last_change(self, world):
        world.nodes.add_person(held("ada"))
        assert world.nodes.heartbeat() == Heartbeat(1)
        assert world.nodes.heartbeat(hello=True) == Heartbeat(1, hello=True)

    def test_a_node_that_asks_gets_the_whole_state_in_parts(self, world):
        names = [f"guest{n}" for n in range(2 * NAMES_PER_ITEM + 1)]
        for name in names:
            world.nodes.add_person(held(name))
        world.know(OTHER, 0)
        world.nodes.receive(OTHER, StateRequest())
        parts = [item for to, item in world.sent.take() if to == OTHER]
        assert [(part.seq, part.part, part.parts) for part in parts] == [(len(names), n, 3) for n in range(3)]
        assert [each.text for part in parts for each in part.people] == names

    def test_a_node_without_people_answers_with_an_empty_state(self, world):
        world.know(OTHER, 0)
        world.nodes.receive(OTHER, StateRequest())
        assert world.sent.take() == [(OTHER, NodeState(0, 0, 1, ()))]

    def test_a_greeting_is_answered_with_a_heartbeat(self, world):
        world.know(OTHER, 0)
        world.nodes.receive(OTHER, Heartbeat(0, hello=True))
        assert world.sent.take() == [(OTHER, Heartbeat(0))]


class TestOtherNodes:
    def test_a_new_node_is_asked_for_its_state_whatever_it_said_first(self, world):
        world.nodes.mark_alive(OTHER)
        assert world.sent.take() == [(OTHER, StateRequest())]
        assert OTHER in world.nodes and len(world.nodes) == 1

    def test_its_people_are_here_when_the_state_has_arrived(self, world):
        world.know(OTHER, 3, "ada", "bob")
        assert world.users() == {"ada", "bob"}

    def test_the_next_change_is_applied(self, world):
        world.know(OTHER, 3, "ada")
        world.nodes.receive(OTHER, NodePresence(4, (held("bob"),), ("ada",)))
        assert (world.users(), world.sent.take()) == ({"bob"}, [])

    def test_a_change_that_is_known_already_is_ignored(self, world):
        world.know(OTHER, 3, "ada")
        world.nodes.receive(OTHER, NodePresence(3, (), ("ada",)))
        assert (world.users(), world.sent.take()) == ({"ada"}, [])

    def test_after_a_missed_change_the_state_is_requested_and_nothing_is_applied(self, world):
        world.know(OTHER, 3, "ada")
        world.nodes.receive(OTHER, NodePresence(5, (), ("ada",)))
        assert (world.users(), world.sent.take()) == ({"ada"}, [(OTHER, StateRequest())])

    def test_a_change_before_the_state_is_not_applied(self, world):
        world.nodes.receive(OTHER, NodePresence(1, (held("ada"),), ()))
        assert (world.users(), world.sent.take()) == (set(), [(OTHER, StateRequest())])

    def test_a_heartbeat_shows_that_a_change_was_missed(self, world):
        world.know(OTHER, 3, "ada")
        world.nodes.receive(OTHER, Heartbeat(3))
        assert world.sent.take() == []
        world.nodes.receive(OTHER, Heartbeat(4))
        assert world.sent.take() == [(OTHER, StateRequest())]

    def test_a_state_is_requested_again_when_it_has_not_arrived_in_time_but_not_before(self, world):
        world.nodes.mark_alive(OTHER)
        world.sent.take()
        world.clock.advance(STATE_RETRY / 2)
        world.nodes.receive(OTHER, Heartbeat(1))
        assert world.sent.take() == []
        world.clock.advance(STATE_RETRY / 2)
        world.nodes.receive(OTHER, Heartbeat(1))
        assert world.sent.take() == [(OTHER, StateRequest())]

    def test_a_change_missed_right_after_a_state_is_requested_at_once(self, world):
        world.nodes.mark_alive(OTHER)
        world.know(OTHER, 3, "ada")
        world.nodes.receive(OTHER, Heartbeat(4))
        assert world.sent.take() == [(OTHER, StateRequest())]

    def test_a_new_state_replaces_the_old_one(self, world):
        world.know(OTHER, 3, "ada", "bob")
        world.know(OTHER, 9, "bob", "cyd")
        assert world.users() == {"bob", "cyd"}

    def test_a_state_that_is_older_than_what_is_known_changes_nothing(self, world):
        world.know(OTHER, 3, "ada")
        for seq in (2, 3):
            world.know(OTHER, seq, "bob")
        assert world.users() == {"ada"}

    def test_a_state_in_parts_counts_when_all_of_them_have_arrived_in_any_order(self, world):
        world.nodes.receive(OTHER, state(3, "bob", part=1, parts=2))
        assert world.users() == set()
        world.nodes.receive(OTHER, state(3, "ada", part=0, parts=2))
        assert world.users() == {"ada", "bob"}

    @pytest.mark.parametrize("later", [{"seq": 4, "parts": 2}, {"seq": 3, "parts": 3}])
    def test_parts_of_different_states_are_not_mixed(self, world, later):
        world.nodes.receive(OTHER, state(3, "ada", part=0, parts=2))
        world.nodes.receive(OTHER, state(later["seq"], "bob", part=1, parts=later["parts"]))
        assert world.users() == set()

    def test_people_of_one_node_are_not_touched_by_the_state_of_another(self, world):
        world.know(OTHER, 1, "ada")
        world.know(THIRD, 1, "bob")
        world.know(THIRD, 2)
        assert world.users() == {"ada"}


class TestSilence:
    def test_a_node_is_silent_when_nothing_was_received_for_longer_than_the_limit(self, world):
        world.know(OTHER, 1)
        world.clock.advance(6)
        world.know(THIRD, 1)
        assert world.nodes.silent_for(6) == []
        world.clock.advance(0.1)
        assert world.nodes.silent_for(6) == [OTHER]

    def test_whatever_a_node_says_is_a_sign_of_life(self, world):
        world.know(OTHER, 1)
        world.clock.advance(5)
        world.nodes.mark_alive(OTHER)
        world.clock.advance(5)
        assert world.nodes.silent_for(6) == []

    def test_a_node_that_is_dropped_takes_its_people_with_it_but_not_those_who_are_elsewhere_too(self, world):
        world.know(OTHER, 1, "ada", "bob")
        world.know(THIRD, 1, "bob")
        world.nodes.drop(OTHER)
        world.nodes.drop(OTHER)
        assert world.users() == {"bob"}
        assert OTHER not in world.nodes and len(world.nodes) == 1

    def test_a_node_that_was_dropped_and_comes_back_is_asked_for_its_state(self, world):
        world.know(OTHER, 1, "ada")
        world.nodes.drop(OTHER)
        world.nodes.receive(OTHER, Heartbeat(1))
        assert world.sent.take() == [(OTHER, StateRequest())]


class TestWaiting:
    @on_loop
    async def test_a_node_that_starts_waits_until_it_has_the_states_of_the_others(self):
        world = World()
        waiting = asyncio.ensure_future(world.nodes.wait_for_states(2))
        for node in (OTHER, THIRD):
            world.nodes.mark_alive(node)
        world.know(OTHER, 1)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        world.know(THIRD, 1)
        await waiting
