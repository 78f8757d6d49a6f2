"""Rooms: members on this node and on others, the history, and how a typed name is found."""

import pytest

from tests.chat.fakes import Outlet, as_it_is
from webchat.chat.events import ChatMessage, Presence
from webchat.chat.presence import PresenceTracker
from webchat.chat.room import Room, find_room_name
from webchat.chat.session import Session

NODE, OTHER = "0" * 16, "f" * 16


class Watched:
    """A room, and somebody in it who sees its presence."""

    def __init__(self, history=10):
        self.room = Room("Taskmaster", history, PresenceTracker(lambda: None, "Taskmaster"))
        self.watcher = session()
        self.room.sessions.add(self.watcher)

    def seen(self):
        """The names that joined and left since this was last called."""
        self.room.presence.send_diff(self.room.sessions)
        events = self.watcher.outlet.of(Presence)
        return [(event.joined, event.left) for event in events]


def session():
    return Session(as_it_is, Outlet(), "192.0.2.1")


def message(number):
    return ChatMessage(f"{number:024x}", number, "ada", False, str(number), "Taskmaster")


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def room(watched):
    return watched.room


class TestMembers:
    def test_a_persons_first_connection_is_a_join_and_their_last_a_leave(self, watched, room):
        one, two = session(), session()
        room.add(one, "ada")
        assert watched.seen() == [(("ada",), ())]
        room.add(two, "ada")
        room.remove(one, "ada")
        assert (watched.seen(), room.members()) == ([], ("ada",))
        room.remove(two, "ada")
        assert (watched.seen(), room.members()) == ([((), ("ada",))], ())

    def test_a_member_on_two_nodes_leaves_when_they_have_left_both(self, watched, room):
        here = session()
        room.add(here, "ada")
        watched.seen()
        room.set_elsewhere(NODE, frozenset({"ada"}))
        assert (watched.seen(), room.members()) == ([], ("ada",))
        room.remove(here, "ada")
        assert (watched.seen(), room.members(), room.local_names()) == ([], ("ada",), frozenset())
        room.set_elsewhere(NODE, frozenset())
        assert (watched.seen(), room.members()) == ([((), ("ada",))], ())

    def test_somebody_who_is_there_on_another_node_does_not_join_again_here(self, watched, room):
        room.set_elsewhere(NODE, frozenset({"ada"}))
        watched.seen()
        room.add(session(), "ada")
        assert watched.seen() == []

    def test_the_members_of_another_node_replace_those_known_before(self, watched, room):
        room.set_elsewhere(NODE, frozenset({"ada", "bob"}))
        assert watched.seen() == [(("ada", "bob"), ())]
        room.set_elsewhere(NODE, frozenset({"bob", "cyd"}))
        assert watched.seen() == [(("cyd",), ("ada",))]
        assert set(room.members()) == {"bob", "cyd"}

    def test_a_member_on_two_other_nodes_counts_once_and_leaves_with_the_last(self, watched, room):
        room.set_elsewhere(NODE, frozenset({"ada"}))
        room.set_elsewhere(OTHER, frozenset({"ada"}))
        assert (watched.seen(), room.members()) == ([(("ada",), ())], ("ada",))
        room.set_elsewhere(NODE, frozenset())
        assert (watched.seen(), room.members()) == ([], ("ada",))

    def test_a_node_without_members_is_not_kept(self, room):
        room.set_elsewhere(NODE, frozenset({"ada"}))
        room.set_elsewhere(NODE, frozenset())
        room.set_elsewhere(OTHER, frozenset())
        assert room.elsewhere == {}

    def test_local_names_are_those_of_this_node_alone(self, room):
        room.add(session(), "ada")
        room.set_elsewhere(NODE, frozenset({"bob"}))
        assert room.local_names() == {"ada"} and room.members() == ("ada", "bob")

    def test_a_connection_that_left_receives_nothing_of_the_room(self, watched, room):
        ada = session()
        room.add(ada, "ada")
        room.presence.record_state_sent(ada)
        room.remove(ada, "ada")
        room.add(session(), "bob")
        assert watched.seen() == [(("bob",), ())]
        assert ada.outlet.frames == [] and ada not in room.sessions


class TestHistory:
    def test_it_has_the_last_messages_oldest_first(self):
        room = Watched(history=3).room
        for number in range(5):
            room.remember(message(number))
        assert [each.text for each in room.history] == ["2", "3", "4"]

    def test_messages_from_other_nodes_are_merged_in_the_order_of_their_ids(self, room):
        for number in (1, 4):
            room.remember(message(number))
        room.merge_history([message(5), message(2), message(3)])
        assert [each.text for each in room.history] == ["1", "2", "3", "4", "5"]

    def test_merging_returns_the_messages_that_are_new_in_the_order_of_their_ids(self, room):
        room.remember(message(2))
        new = room.merge_history([message(3), message(2), message(1)])
        assert [each.text for each in new] == ["1", "3"]
        assert room.merge_history([message(3)]) == []

    def test_the_limit_holds_for_merged_messages_too(self):
        room = Watched(history=2).room
        room.remember(message(3))
        room.merge_history([message(1), message(2)])
        assert [each.text for each in room.history] == ["2", "3"]

    def test_with_a_history_of_0_every_merged_message_is_new_and_none_is_kept(self):
        room = Watched(history=0).room
        room.remember(message(1))
        assert room.merge_history([message(2)]) == [message(2)]
        assert room.history == ()

    def test_it_can_be_cleared(self, room):
        room.remember(message(1))
        room.clear_history()
        assert room.history == ()


class TestFindRoomName:
    @pytest.mark.parametrize("typed", ["Quite Interesting", "quite interesting", "#Quite Interesting",
                                       " quite  INTERESTING "])
    def test_a_room_is_found_in_any_case_with_any_spacing_and_with_a_hash(self, typed):
        assert find_room_name(typed, ("Taskmaster", "Quite Interesting")) == "Quite Interesting"

    @pytest.mark.parametrize("typed", ["", "#", "Quite", "##Taskmaster", "QuiteInteresting"])
    def test_other_names_are_not_found(self, typed):
        assert find_room_name(typed, ("Taskmaster", "Quite Interesting")) is None
