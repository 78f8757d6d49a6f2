"""Other nodes: how the hub takes in what the backplane reports of them."""

import pytest

from tests.chat.fakes import Chat, WatchedBackplane, immediately
from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.errors import SlowDown
from webchat.chat.events import ChatMessage, Join, Login, Notice, Presence, Say, Tell, Typing
from webchat.chat.hub import EVERYONE, room_channel, user_channel
from webchat.chat.ids import IdGenerator

NODE, OTHER = "0" * 16, "f" * 16
ROOM = "Taskmaster"


@pytest.fixture
def chat():
    return Chat()


def message(text="hello", id="f" * 24, room=None, to_user=None):
    return ChatMessage(id, 1, "bob", False, text, room, to_user)


def member(chat):
    """Somebody who has joined the room."""
    session = chat.login("Alex", "password")
    chat.do(session, Join(ROOM))
    return session


def texts(session):
    return [event.text for event in session.outlet.of(ChatMessage)]


class TestPeople:
    def test_somebody_on_another_node_is_listed_announced_and_can_be_written_to(self, chat):
        ada = chat.login("ada")
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        assert chat.hub.people.shown() == ("ada", "bob")
        chat.do(ada, Tell("bob", "hello"))
        chat.clock.advance(1)
        assert ada.outlet.of(Presence) == [Presence(("bob",), ())]

    def test_a_person_on_two_nodes_leaves_when_they_have_left_both(self, chat):
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

    def test_another_spelling_of_a_name_is_a_leave_and_a_join(self, chat):
        ada = chat.login("ada")
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        chat.settle()
        chat.hub.remote_joined(NODE, names.parse("Bob"), False)
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("Bob",), ("bob",))]

    def test_a_connection_here_keeps_the_spelling_of_the_one_on_another_node(self, chat):
        chat.hub.remote_joined(NODE, names.parse("Bob"), False)
        assert chat.login("bob").username == "Bob"

    def test_a_guest_is_disconnected_when_their_name_is_an_accounts_on_another_node(self, chat):
        accounts, chat.hub.accounts = chat.hub.accounts, Accounts((), run=immediately)
        sue = chat.login("Sue")
        chat.hub.accounts = accounts
        chat.hub.remote_joined(NODE, names.parse("Sue"), True)
        assert [notice.code for notice in sue.outlet.of(Notice)] == ["name-taken"]
        assert sue.outlet.closed is not None
        assert chat.hub.people.shown() == ("Sue*",)

    def test_a_node_that_reports_an_accounts_name_as_a_guest_is_ignored(self, chat):
        sue = chat.login("Sue", "password")
        chat.hub.remote_joined(NODE, names.parse("Sue"), False)
        assert chat.hub.people.shown() == ("Sue*",)
        assert sue.outlet.closed is None
        chat.hub.close(sue)
        assert chat.hub.people.shown() == ()

    def test_a_guest_on_other_nodes_is_dropped_when_their_name_is_an_accounts(self, chat):
        for node in (NODE, OTHER):
            chat.hub.remote_joined(node, names.parse("Sue"), False)
        chat.hub.remote_joined(OTHER, names.parse("Sue"), True)
        assert chat.hub.people.shown() == ("Sue*",)
        chat.hub.remote_left(OTHER, names.key("Sue"))
        assert chat.hub.people.shown() == ()

    def test_somebody_connected_here_stays_when_they_leave_another_node(self, chat):
        session = chat.open()
        token = chat.do(session, Login("ada")).token
        chat.hub.remote_joined(NODE, names.parse("ada"), False)
        chat.hub.remote_left(NODE, "ada")
        assert chat.hub.people.shown() == ("ada",)
        assert chat.login("ada", token=token).person is session.person

    def test_somebody_on_another_node_stays_when_their_connection_here_ends(self, chat):
        ada = chat.login("ada")
        chat.hub.remote_joined(NODE, names.parse("ada"), False)
        chat.hub.close(ada)
        assert chat.hub.people.shown() == ("ada",)

    def test_a_leave_of_somebody_who_is_not_here_is_no_error(self, chat):
        chat.hub.remote_left(NODE, "nobody")
        assert chat.hub.people.shown() == ()

    def test_the_people_on_a_node_are_known(self, chat):
        chat.login("ada")
        for node, name in ((NODE, "bob"), (OTHER, "cyd"), (NODE, "dan")):
            chat.hub.remote_joined(node, names.parse(name), False)
        assert [person.shown for person in chat.hub.people.on_node(NODE)] == ["bob", "dan"]

    def test_the_messages_of_somebody_from_another_node_are_limited_here_too(self):
        chat = Chat(message_rate=1)
        chat.hub.remote_joined(NODE, names.parse("ada"), False)
        ada = chat.login("ada")
        for _ in range(2):
            chat.do(ada, Say("x"))
        with pytest.raises(SlowDown):
            chat.do(ada, Say("x"))


class TestMessages:
    @pytest.mark.parametrize("channel", [EVERYONE, user_channel("ada")])
    def test_a_message_is_sent_to_those_who_listen_to_its_channel(self, chat, channel):
        ada, cyd = chat.login("ada"), chat.login("cyd")
        chat.hub.remote_event(message(), channel)
        assert texts(ada) == ["hello"]
        assert texts(cyd) == (["hello"] if channel == EVERYONE else [])

    @pytest.mark.parametrize("channel", ["", "nonsense", "room:Nowhere", "user:nobody", ":"])
    def test_a_channel_without_listeners_is_no_error(self, chat, channel):
        ada = chat.login("ada")
        chat.hub.remote_event(message(room="Nowhere"), channel)
        assert texts(ada) == []

    def test_the_join_of_a_sender_is_sent_before_their_first_message(self, chat):
        ada = chat.login("ada")
        chat.settle()
        chat.hub.remote_joined(NODE, names.parse("bob"), False)
        chat.hub.remote_event(message(), EVERYONE)
        assert [type(event) for event in ada.outlet.take()] == [Presence, ChatMessage]

    def test_a_typing_hint_is_sent_to_those_who_listen_to_its_channel(self, chat):
        ada, cyd = chat.login("ada"), chat.login("cyd")
        chat.hub.remote_event(Typing("bob", to_user="ada"), user_channel("ada"))
        assert (ada.outlet.of(Typing), cyd.outlet.of(Typing)) == ([Typing("bob", to_user="ada")], [])

    def test_an_answer_sorts_after_a_message_from_a_node_whose_clock_is_ahead(self, chat):
        ada = chat.login("ada")
        ahead, _ = IdGenerator(clock=lambda: 1e11)()
        chat.hub.remote_event(message(id=ahead), EVERYONE)
        assert chat.do(ada, Say("later")).id > ahead

    def test_an_answer_sorts_after_the_history_of_a_node_whose_clock_is_ahead(self, chat):
        alex = member(chat)
        ahead, _ = IdGenerator(clock=lambda: 1e11)()
        chat.hub.merge_history(chat.hub.rooms[ROOM], [message(id=ahead, room=ROOM)], deliver=False)
        assert chat.do(alex, Say("later")).id > ahead

    def test_a_message_from_another_node_is_not_published_again(self):
        backplane = WatchedBackplane()
        chat = Chat(backplane=backplane)
        chat.login("ada")
        chat.hub.remote_event(message(), EVERYONE)
        assert backplane.published == []


class TestRooms:
    def test_a_message_is_sent_to_those_in_the_room_and_kept(self, chat):
        alex = member(chat)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == ["hello"]
        assert [each.text for each in chat.hub.rooms[ROOM].history] == ["hello"]

    def test_a_message_that_came_with_the_history_is_not_sent_again(self, chat):
        alex = member(chat)
        chat.hub.merge_history(chat.hub.rooms[ROOM], [message(room=ROOM)], deliver=False)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == []

    def test_missed_messages_are_sent_once_in_the_order_of_their_ids(self, chat):
        alex = member(chat)
        missed = [message(str(n), id=f"{n:024x}", room=ROOM) for n in range(5)]
        for _ in range(2):
            chat.hub.merge_history(chat.hub.rooms[ROOM], reversed(missed), deliver=True)
        assert texts(alex) == ["0", "1", "2", "3", "4"]

    def test_messages_are_sent_even_when_rooms_keep_no_history(self):
        chat = Chat(history=0)
        alex = member(chat)
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert texts(alex) == ["hello"]

    def test_members_on_other_nodes_are_in_the_receipt_of_a_join(self, chat):
        member(chat)
        chat.hub.rooms[ROOM].set_elsewhere(NODE, frozenset({"Sue*"}))
        assert chat.do(chat.login("Sandy", "password"), Join(ROOM)).members == ("Alex*", "Sandy*", "Sue*")

    def test_the_join_of_a_sender_on_another_node_is_sent_before_their_first_message(self, chat):
        alex = member(chat)
        chat.settle()
        chat.hub.rooms[ROOM].set_elsewhere(NODE, frozenset({"bob"}))
        chat.hub.remote_event(message(room=ROOM), room_channel(ROOM))
        assert [type(event) for event in alex.outlet.take()] == [Presence, ChatMessage]
