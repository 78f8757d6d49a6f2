"""What the hub makes of the news from other nodes."""

import pytest

from tests.chat.fakes import Chat
from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.events import ChatMessage, Join, Notice, Presence, Say, Tell
from webchat.chat.hub import EVERYONE, room_channel, user_channel
from webchat.chat.ids import Ids

NODE, OTHER = "0" * 16, "f" * 16
ROOM = "Taskmaster"


@pytest.fixture
def chat():
    return Chat()


def message(text="hello", id="f" * 24, room=None, to_user=None):
    return ChatMessage(id, 1, "bob", False, text, room, to_user)


def texts(session):
    return [event.text for event in session.outlet.of(ChatMessage)]


class TestPeople:
    def test_who_is_elsewhere_is_here_for_all_that_it_matters(self, chat):
        ada = chat.login("ada")
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        assert chat.hub.people.shown() == ("ada", "bob")
        chat.do(ada, Tell("bob", "hello"))
        chat.clock.advance(1)
        assert ada.outlet.of(Presence) == [Presence(("bob",), ())]

    def test_who_is_on_two_nodes_has_left_when_he_left_both(self, chat):
        ada = chat.login("ada")
        for node in (NODE, OTHER):
            chat.hub.remote_joined(node, names.parse("bob"), False)
        chat.settle()
        chat.hub.remote_left(NODE, "bob")
        chat.clock.advance(1)
        assert ada.outlet.take() == []
        chat.hub.remote_left(OTHER, "bob")
        chat.hub.remote_left(OTHER, "bob")
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence((), ("bob",))]

    def test_another_spelling_is_a_leave_and_a_join(self, chat):
        ada = chat.login("ada")
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        chat.settle()
        chat.hub.remote_joined(NODE, names.parse("Bob"), False)
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("Bob",), ("bob",))]

    def test_a_second_window_shows_the_name_as_the_first_one_wrote_it(self, chat):
        chat.hub.remote_joined(NODE, names.parse("Bob"), False)
        assert chat.login("bob").username == "Bob"

    def test_a_guest_gives_way_when_his_name_is_an_accounts_on_another_node(self, chat):
        accounts, chat.hub.accounts = chat.hub.accounts, Accounts((), run=None)
        sue = chat.login("Sue")
        chat.hub.accounts = accounts
        chat.hub.remote_joined(NODE, names.parse("Sue"), True)
        assert [notice.code for notice in sue.outlet.of(Notice)] == ["name-taken"]
        assert sue.outlet.closed is not None
        assert chat.hub.people.shown() == ("Sue*",)

    def test_a_node_that_takes_an_account_for_a_guest_is_not_believed(self, chat):
        sue = chat.login("Sue", "password")
        chat.hub.remote_joined(NODE, names.parse("Sue"), False)
        assert chat.hub.people.shown() == ("Sue*",)
        assert sue.outlet.closed is None
        chat.hub.close(sue)
        assert chat.hub.people.shown() == ()

    def test_whoever_is_evicted_hears_why_and_leaves_nothing(self, chat):
        ada = chat.login("ada")
        chat.settle()
        notice = Notice("name-taken", "Somebody else has it.")
        chat.hub.evict("ada", notice)
        chat.hub.evict("nobody", notice)
        assert ada.outlet.take() == [notice]
        assert (ada.outlet.closed is not None, chat.hub.people.shown(), len(chat.hub.everyone)) == (True, (), 0)


class TestMessages:
    @pytest.mark.parametrize("channel", [EVERYONE, user_channel("ada")])
    def test_they_reach_those_who_hear_the_channel(self, chat, channel):
        ada, cyd = chat.login("ada"), chat.login("cyd")
        chat.hub.remote_event(message(), channel)
        assert texts(ada) == ["hello"]
        assert texts(cyd) == (["hello"] if channel == EVERYONE else [])

    @pytest.mark.parametrize("channel", ["", "nonsense", "room:Nowhere", "user:nobody", ":"])
    def test_a_channel_that_nobody_hears_is_no_mistake(self, chat, channel):
        ada = chat.login("ada")
        chat.hub.remote_event(message(room="Nowhere"), channel)
        assert texts(ada) == []

    def test_their_speaker_is_introduced_before(self, chat):
        ada = chat.login("ada")
        chat.settle()
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        chat.hub.remote_event(message(), EVERYONE)
        assert [type(event) for event in ada.outlet.take()] == [Presence, ChatMessage]

    def test_ids_that_follow_sort_after_what_was_heard_though_our_clock_is_slow(self):
        ours, theirs = Ids(clock=lambda: 1000.0), Ids(clock=lambda: 4600.0)
        id, _ = theirs()
        ours.heard(id)
        ours.heard("junk")
        assert ours()[0] > id

    def test_the_ids_of_the_hub_heed_what_other_nodes_said(self, chat):
        ada = chat.login("ada")
        ahead, _ = Ids(clock=lambda: 1e11)()
        chat.hub.remote_event(message(id=ahead), EVERYONE)
        assert chat.do(ada, Say("later")).id > ahead


class TestRooms:
    def member(self, chat, name="Alex"):
        session = chat.login(name, "password")
        chat.do(session, Join(ROOM))
        return session

    def test_what_is_said_elsewhere_is_heard_and_remembered(self, chat):
        alex = self.member(chat)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == ["hello"]
        assert [each.text for each in chat.hub.rooms[ROOM].history] == ["hello"]

    def test_what_came_with_the_history_is_not_said_again(self, chat):
        alex = self.member(chat)
        chat.hub.recall(chat.hub.rooms[ROOM], [message(room=ROOM)], deliver=False)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == []

    def test_what_was_missed_is_delivered_in_the_order_of_speaking_and_once(self, chat):
        alex = self.member(chat)
        missed = [message(str(n), id=f"{n:024x}", room=ROOM) for n in range(5)]
        for _ in range(2):
            chat.hub.recall(chat.hub.rooms[ROOM], reversed(missed), deliver=True)
        assert texts(alex) == ["0", "1", "2", "3", "4"]

    def test_without_a_history_everything_is_delivered_all_the_same(self):
        chat = Chat(history=0)
        alex = self.member(chat)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == ["hello"]
