"""The hub: messages, presence, rooms and the end of connections, without sockets."""

import gc

import pytest

from tests.chat.fakes import Chat, Outlet, WatchedBackplane, immediately
from webchat.chat.accounts import Accounts
from webchat.chat.allowances import NAMES
from webchat.chat.errors import (
    BadCredentials,
    Empty,
    LoginRequired,
    NoSuchUser,
    NotAMember,
    NotInRoom,
    SlowDown,
    TooLong,
)
from webchat.chat.events import ChatMessage, Join, Login, Notice, Part, Presence, Rename, Say, Tell, Type, Typing
from webchat.chat.hub import EVERYONE, room_channel, user_channel

ROOM = "Taskmaster"


@pytest.fixture
def backplane():
    return WatchedBackplane()


@pytest.fixture
def chat(backplane):
    return Chat(backplane=backplane)


def texts(session):
    return [message.text for message in session.outlet.of(ChatMessage)]


def attempt(chat, session, command):
    """Do it, and return whether it was allowed."""
    try:
        chat.do(session, command)
    except SlowDown:
        return False
    return True


def member(chat, name="Alex"):
    """Somebody who has joined the room."""
    session = chat.login(name, "password")
    chat.do(session, Join(ROOM))
    return session


@pytest.mark.parametrize("command", [
    Say("x"), Say("x", room=ROOM), Tell("ada", "x"), Join(ROOM), Part(ROOM), Type(), Rename("x")])
def test_every_command_but_a_login_needs_a_login(chat, command):
    with pytest.raises(LoginRequired):
        chat.do(chat.open(), command)
    assert chat.hub.refusals == {"login-required": 1}


class TestMessages:
    def test_a_message_to_everyone_is_sent_to_everyone_and_its_sender(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        receipt = chat.do(ada, Say("hello"))
        for session in (ada, bob):
            (message,) = session.outlet.of(ChatMessage)
            assert message == ChatMessage(receipt.id, receipt.time, "ada", False, "hello")

    def test_a_connection_without_echo_does_not_receive_its_own_message(self, chat):
        ada, bob = chat.login("ada", echo=False), chat.login("bob")
        chat.do(ada, Say("hello"))
        assert (texts(ada), texts(bob)) == ([], ["hello"])

    def test_a_connection_that_has_not_logged_in_receives_nothing(self, chat):
        stranger = chat.open()
        chat.do(chat.login("ada"), Say("hello"))
        assert stranger.outlet.take() == []

    def test_a_private_message_reaches_every_connection_of_the_recipient_and_the_others_of_the_sender(self, chat):
        alex, other = chat.login("Alex", "password"), chat.login("Alex", "password")
        sue, phone = chat.login("Sue", "password"), chat.login("Sue", "password")
        bob = chat.login("bob")
        chat.do(alex, Tell("Sue", "hush"))
        assert [texts(session) for session in (alex, other, sue, phone, bob)] == [[], ["hush"], ["hush"], ["hush"], []]

    @pytest.mark.parametrize("name", ["Sue", "Sue*", "sue", " SUE "])
    def test_a_recipient_is_found_by_their_name_with_or_without_the_asterisk(self, chat, name):
        sue = chat.login("Sue", "password")
        chat.do(chat.login("ada"), Tell(name, "hello"))
        (message,) = sue.outlet.of(ChatMessage)
        assert message.to_user == "Sue*"

    def test_a_message_to_somebody_who_is_not_here_is_refused(self, chat):
        with pytest.raises(NoSuchUser):
            chat.do(chat.login("ada"), Tell("nobody", "hello"))

    def test_a_message_to_oneself_reaches_each_own_connection_once(self, chat):
        alex, other = chat.login("Alex", "password"), chat.login("Alex", "password")
        chat.do(alex, Tell("Alex", "note"))
        assert (texts(alex), texts(other)) == (["note"], ["note"])

    @pytest.mark.parametrize("command", [Say, lambda text: Tell("ada", text), lambda text: Say(text, ROOM)])
    @pytest.mark.parametrize(("text", "error"), [(" \n", Empty), ("x" * 4097, TooLong)])
    def test_a_text_that_is_blank_or_too_long_is_refused(self, chat, backplane, command, text, error):
        chat.login("ada")
        alex = member(chat)
        with pytest.raises(error):
            chat.do(alex, command(text))
        assert backplane.published == [] and not chat.hub.messages

    def test_control_characters_in_a_text_are_replaced(self, chat):
        ada = chat.login("ada")
        for command in (Say("a\x1bb"), Tell("ada", "a\x1bb")):
            chat.do(ada, command)
        alex = member(chat)
        chat.do(alex, Say("a\x1bb", ROOM))
        assert texts(ada) == ["a\ufffdb", "a\ufffdb"] and texts(alex) == ["a\ufffdb"]

    def test_the_message_of_an_account_is_marked_as_authenticated(self, chat):
        alex = chat.login("Alex", "password")
        chat.do(alex, Say("hello"))
        (message,) = alex.outlet.of(ChatMessage)
        assert (message.from_user, message.authenticated) == ("Alex*", True)

    def test_ids_sort_in_the_order_of_sending(self, chat):
        ada = chat.login("ada")
        ids = [chat.do(ada, Say(str(n))).id for n in range(50)]
        assert ids == sorted(ids)
        assert len(set(ids)) == 50

    def test_messages_are_counted_by_the_kind_of_their_recipient(self, chat):
        alex = member(chat)
        for command in (Say("x"), Say("x"), Tell("Alex", "x"), Say("x", ROOM)):
            chat.do(alex, command)
        assert chat.hub.messages == {"everyone": 2, "user": 1, "room": 1}

    def test_a_message_is_encoded_once_for_all_connections_with_the_same_encoder(self, chat):
        encoded = []

        def encode(event):
            encoded.append(event)
            return event

        sessions = [chat.hub.open(encode=encode, outlet=Outlet(), address="", echo=True) for _ in range(20)]
        for n, session in enumerate(sessions):
            chat.do(session, Login(f"guest{n}"))
        encoded.clear()
        chat.do(sessions[0], Say("hello"))
        assert len([event for event in encoded if isinstance(event, ChatMessage)]) == 1

    def test_an_event_that_an_encoder_does_not_show_is_not_sent_to_its_connection(self, chat):
        session = chat.open(encode=lambda event: None)
        session.send(Notice("code", "A sentence."))
        assert session.outlet.frames == []


class TestOtherProcesses:
    """What the backplane is given for the other processes."""

    def test_a_message_is_published_on_the_channel_of_its_recipients(self, chat, backplane):
        alex = member(chat)
        chat.login("bob")
        for command in (Say("one"), Say("two", ROOM), Tell("bob", "three")):
            chat.do(alex, command)
        assert [(event.text, channel) for event, channel in backplane.published] == [
            ("one", EVERYONE), ("two", room_channel(ROOM)), ("three", user_channel("bob")),
            ("three", user_channel(alex.person.name.key))]

    def test_a_message_to_oneself_is_published_once(self, chat, backplane):
        chat.do(chat.login("ada"), Tell("ada", "note"))
        assert [channel for _, channel in backplane.published] == [user_channel("ada")]

    def test_they_are_told_who_is_in_a_room_after_each_join_and_part(self, chat, backplane):
        alex = member(chat)
        chat.do(alex, Join(ROOM))
        chat.do(alex, Part(ROOM))
        assert backplane.occupied == [(ROOM, {"Alex*"}), (ROOM, frozenset())]

    def test_they_are_told_when_a_connection_in_a_room_ends(self, chat, backplane):
        chat.hub.close(member(chat))
        assert backplane.occupied[-1] == (ROOM, frozenset())


class TestRateLimit:
    def test_it_holds_for_a_person_with_all_their_connections(self):
        chat = Chat(message_rate=2)
        one, two = chat.login("admin", "admin"), chat.login("admin", "admin")
        for session in (one, two, one, two):
            chat.do(session, Say("x"))
        with pytest.raises(SlowDown):
            chat.do(one, Say("x"))
        with pytest.raises(SlowDown):
            chat.do(two, Tell("admin", "x"))
        chat.clock.advance(1)
        chat.do(one, Say("x"))

    def test_other_people_are_not_limited_by_it(self):
        chat = Chat(message_rate=1)
        ada, bob = chat.login("ada"), chat.login("bob")
        for _ in range(2):
            chat.do(ada, Say("x"))
        with pytest.raises(SlowDown):
            chat.do(ada, Say("x"))
        chat.do(bob, Say("x"))

    def test_it_survives_the_change_to_another_connection_with_the_token(self):
        chat = Chat(message_rate=1)
        ada = chat.open()
        token = chat.do(ada, Login("ada")).token
        for _ in range(2):
            chat.do(ada, Say("x"))
        with pytest.raises(SlowDown):
            chat.do(chat.login("ada", token=token), Say("x"))

    def test_another_name_brings_no_new_allowance(self):
        chat = Chat(message_rate=1)
        ada, bob = chat.login("ada"), chat.login("bob")
        for number in range(5):
            for _ in range(5):
                attempt(chat, ada, Say("x"))
            chat.do(ada, Rename(f"ada {number}"))
        assert len(texts(bob)) == 2

    def test_another_name_takes_nothing_from_who_has_the_old_one(self):
        chat = Chat(message_rate=1)
        ada = chat.login("ada")
        for _ in range(2):
            chat.do(ada, Say("x"))
        chat.do(ada, Rename("bob"))
        chat.do(chat.login("ada"), Say("x"))

    def test_a_connection_that_takes_a_persons_name_shares_their_allowance(self):
        chat = Chat(message_rate=1)
        one, two = chat.login("admin", "admin"), chat.login("ada")
        for _ in range(2):
            chat.do(one, Say("x"))
        chat.do(two, Rename("admin", "admin"))
        with pytest.raises(SlowDown):
            chat.do(two, Say("x"))

    def test_another_connection_from_the_same_address_brings_no_new_allowance_in_the_end(self):
        chat = Chat(message_rate=1)
        bob, said = chat.login("bob", address="192.0.2.2"), 0
        for number in range(50):
            ada = chat.login(f"ada {number}")
            for _ in range(5):
                said += attempt(chat, ada, Say("x"))
            chat.hub.close(ada)
        assert said == len(texts(bob)) == 20
        chat.clock.advance(1)
        assert sum(attempt(chat, chat.login(f"eve {number}"), Say("x")) for number in range(50)) == 10

    def test_people_at_other_addresses_are_not_limited_by_it(self):
        chat = Chat(message_rate=1, address_rate=1)
        ada, bob, cyd = chat.login("ada"), chat.login("bob"), chat.login("cyd", address="192.0.2.2")
        assert [attempt(chat, session, Say("x")) for session in (ada, ada, bob, cyd)] == [True, True, False, True]

    def test_the_rate_of_an_address_can_be_set(self):
        chat = Chat(message_rate=1, address_rate=3)
        people = [chat.login(f"ada {number}") for number in range(10)]
        assert sum(attempt(chat, session, Say("x")) for session in people) == 6

    def test_an_address_rate_of_0_means_no_limit_for_the_address(self):
        chat = Chat(message_rate=1, address_rate=0)
        people = [chat.login(f"ada {number}") for number in range(300)]
        assert all(attempt(chat, session, Say("x")) for session in people)

    def test_closing_a_connection_twice_does_not_let_its_address_be_forgotten(self):
        chat = Chat(message_rate=1)
        ada, bob = chat.login("ada"), chat.login("bob")
        for session in (ada, ada, bob):
            chat.hub.close(session)
        assert ada.shared.connections == 0

    def test_ten_names_can_be_taken_at_once_and_then_one_a_second(self):
        chat = Chat()
        ada, bob = chat.login("ada"), chat.login("bob")
        for number in range(9):
            chat.do(ada, Rename(f"ada {number}"))
        chat.clock.advance(0.1)
        bob.outlet.take()
        with pytest.raises(SlowDown, match="Too many logins and changes of name at once; wait a moment"):
            chat.do(ada, Rename("ada 10"))
        assert ada.username == "ada 8"
        chat.clock.advance(0.9)
        assert bob.outlet.of(Presence) == []
        assert sum(attempt(chat, ada, Rename(f"ada {number}")) for number in range(20, 30)) == 1

    def test_logins_of_one_address_are_limited(self):
        chat = Chat(message_rate=1)
        session = chat.open()
        while session.shared[NAMES].take(chat.clock.time()):
            pass
        session.shared[NAMES].give_back()
        assert [attempt(chat, chat.open(), Login(f"ada {number}")) for number in range(3)] == [True, False, False]
        chat.login("ada", address="192.0.2.2")

    def test_refused_logins_keep_nobody_else_of_their_address_out(self):
        chat = Chat(message_rate=1)
        chat.login("Alex", "password")
        for _ in range(2500):
            session = chat.open()
            with pytest.raises((BadCredentials, SlowDown)):
                chat.do(session, Login("Sue", "wrong"))
            chat.hub.close(session)
        chat.login("Alex", "password")
        chat.login("ada")

    def test_joins_and_parts_have_an_allowance_of_their_own(self):
        chat = Chat(message_rate=1)
        alex = chat.login("Alex", "password")
        for _ in range(30):
            chat.do(alex, Join(ROOM))
            chat.do(alex, Part(ROOM))
        with pytest.raises(SlowDown, match="Too many rooms entered and left"):
            chat.do(alex, Join(ROOM))
        chat.do(alex, Say("x"))
        chat.clock.advance(0.5)
        chat.do(alex, Join(ROOM))
        with pytest.raises(SlowDown):
            chat.do(alex, Part(ROOM))
        assert ROOM in alex.rooms

    def test_what_is_refused_is_counted(self):
        chat = Chat(message_rate=1)
        ada = chat.login("ada")
        for _ in range(5):
            attempt(chat, ada, Say("x"))
        assert chat.hub.refusals == {"slow-down": 3}


class TestTyping:
    def test_a_hint_to_everyone_is_sent_to_the_others(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.do(ada, Type())
        assert (ada.outlet.of(Typing), bob.outlet.of(Typing)) == ([], [Typing("ada")])

    def test_hints_over_the_limit_of_a_connection_are_dropped_without_an_error(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        for _ in range(9):
            chat.do(ada, Type())
        assert bob.outlet.of(Typing) == 5 * [Typing("ada")]
        chat.clock.advance(0.5)
        for _ in range(2):
            chat.do(ada, Type(to_user="bob"))
        assert bob.outlet.of(Typing) == [Typing("ada", to_user="bob")]

    def test_neither_another_name_nor_another_connection_brings_more_hints(self):
        chat = Chat(message_rate=1)
        bob = chat.login("bob", address="192.0.2.2")
        ada = chat.login("ada")
        for number in range(5):
            chat.do(ada, Rename(f"ada {number}"))
            for _ in range(5):
                chat.do(ada, Type())
        assert len(bob.outlet.of(Typing)) == 5
        for number in range(20):
            eve = chat.login(f"eve {number}")
            for _ in range(5):
                chat.do(eve, Type())
            chat.hub.close(eve)
        assert len(bob.outlet.of(Typing)) == 45

    def test_a_hint_reaches_those_whom_it_is_for(self, chat):
        alex, sue, ada = member(chat), member(chat, "Sue"), chat.login("ada")
        for where in ({}, {"room": ROOM}, {"to_user": "Sue*"}):
            chat.do(alex, Type(**where))
        assert sue.outlet.of(Typing) == [
            Typing("Alex*"), Typing("Alex*", room=ROOM), Typing("Alex*", to_user="Sue*")]
        assert ada.outlet.of(Typing) == [Typing("Alex*")]

    def test_a_hint_to_somebody_who_is_not_here_or_to_a_room_not_joined_is_refused(self, chat):
        alex = chat.login("Alex", "password")
        with pytest.raises(NoSuchUser):
            chat.do(alex, Type(to_user="nobody"))
        with pytest.raises(NotInRoom):
            chat.do(alex, Type(room=ROOM))


class TestPresence:
    def test_joins_and_leaves_are_sent_together_within_a_tenth_of_a_second(self, chat):
        ada = chat.login("ada")
        chat.settle()
        bob, _ = chat.login("bob"), chat.login("cyd")
        chat.hub.close(bob)
        chat.login("dan")
        assert ada.outlet.take() == []
        chat.clock.advance(0.1)
        assert ada.outlet.take() == [Presence(("cyd", "dan"), ())]

    def test_a_newcomer_is_told_only_the_changes_after_their_welcome(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.login("cyd")
        chat.clock.advance(0.1)
        assert ada.outlet.of(Presence) == [Presence(("bob", "cyd"), ())]
        assert bob.outlet.of(Presence) == [Presence(("cyd",), ())]

    def test_a_further_connection_of_a_person_and_its_end_are_not_announced(self, chat):
        ada, _ = chat.login("ada"), chat.login("admin", "admin")
        chat.settle()
        chat.hub.close(chat.login("admin", "admin"))
        chat.clock.advance(1)
        assert ada.outlet.take() == []

    @pytest.mark.parametrize("command", [Say("hello"), Tell("ada", "hello")])
    def test_the_join_of_a_sender_is_sent_before_their_first_message(self, chat, command):
        ada = chat.login("ada")
        chat.settle()
        chat.do(chat.login("bob"), command)
        assert [type(event) for event in ada.outlet.take()] == [Presence, ChatMessage]

    def test_the_joins_of_others_can_wait_while_somebody_sends(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        chat.login("cyd")
        chat.do(bob, Say("hello"))
        assert [type(event) for event in ada.outlet.take()] == [ChatMessage]

    def test_people_are_listed_in_the_order_of_their_arrival(self, chat):
        for name in ("cyd", "ada", "bob"):
            chat.login(name)
        assert chat.hub.people.shown() == ("cyd", "ada", "bob")

    def test_closing_a_connection_twice_does_nothing_more(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        chat.hub.close(bob)
        chat.hub.close(bob)
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence((), ("bob",))]

    def test_a_closed_connection_receives_nothing_more(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.hub.close(bob)
        bob.outlet.take()
        chat.do(ada, Say("hello"))
        chat.clock.advance(1)
        assert bob.outlet.take() == []


class TestRooms:
    def test_only_members_can_join_and_others_cannot_find_out_whether_a_room_exists(self, chat):
        ada = chat.login("ada")
        answers = set()
        for room in (ROOM, "No such room"):
            with pytest.raises(NotAMember) as refused:
                chat.do(ada, Join(room))
            answers.add(str(refused.value))
        assert len(answers) == 1
        with pytest.raises(NotAMember):
            chat.do(chat.login("Alex", "password"), Join("Quite Interesting"))
        assert not chat.hub.rooms

    def test_a_member_whose_account_was_changed_can_no_longer_join(self, chat):
        alex = chat.login("Alex", "password")
        chat.hub.accounts = Accounts((), run=immediately)
        with pytest.raises(NotAMember):
            chat.do(alex, Join(ROOM))

    def test_only_those_who_joined_can_send_and_receive(self, chat):
        alex, sue = member(chat), member(chat, "Sue")
        sandy = chat.login("Sandy", "password")
        chat.do(alex, Say("hello", room=ROOM))
        assert [texts(session) for session in (alex, sue, sandy)] == [["hello"], ["hello"], []]
        with pytest.raises(NotInRoom):
            chat.do(sandy, Say("hello", room=ROOM))

    def test_a_connection_without_echo_does_not_receive_its_own_message(self, chat):
        alex = chat.login("Alex", "password", echo=False)
        chat.do(alex, Join(ROOM))
        sue = member(chat, "Sue")
        chat.do(alex, Say("hello", room=ROOM))
        assert (texts(alex), texts(sue)) == ([], ["hello"])

    def test_each_connection_of_a_person_joins_for_itself(self, chat):
        other = chat.login("Sue", "password")
        chat.do(member(chat, "Sue"), Say("hello", room=ROOM))
        assert texts(other) == []
        with pytest.raises(NotInRoom):
            chat.do(other, Say("hello", room=ROOM))

    def test_the_receipt_has_the_members_and_the_last_ten_messages_oldest_first(self, chat):
        alex = member(chat)
        for n in range(12):
            chat.do(alex, Say(str(n), room=ROOM))
        joined = chat.do(chat.login("Sue", "password"), Join(ROOM))
        assert (joined.room, joined.members) == (ROOM, ("Alex*", "Sue*"))
        assert [message.text for message in joined.history] == [str(n) for n in range(2, 12)]

    def test_a_message_names_its_room(self, chat):
        alex = member(chat)
        chat.do(alex, Say("hello", room="#taskmaster"))
        (message,) = alex.outlet.of(ChatMessage)
        assert message.room == ROOM

    def test_a_room_can_be_typed_in_any_case_and_with_a_hash(self, chat):
        assert chat.do(chat.login("Alex", "password"), Join("#taskmaster")).room == ROOM

    def test_those_in_the_room_are_told_who_joins_and_leaves(self, chat):
        alex = member(chat)
        chat.settle()
        sue = member(chat, "Sue")
        chat.clock.advance(0.1)
        assert Presence(("Sue*",), (), ROOM) in alex.outlet.take()
        chat.do(sue, Part(ROOM))
        chat.clock.advance(0.1)
        assert alex.outlet.take() == [Presence((), ("Sue*",), ROOM)]

    def test_those_outside_the_room_are_not_told(self, chat):
        sandy = chat.login("Sandy", "password")
        member(chat)
        chat.clock.advance(0.1)
        assert sandy.outlet.of(Presence) == [Presence(("Alex*",), ())]

    def test_somebody_who_joins_is_not_told_again_who_was_in_the_receipt(self, chat):
        sue = chat.login("Sue", "password")
        chat.settle()
        alex = chat.login("Alex", "password")
        chat.do(alex, Join(ROOM))
        chat.do(sue, Join(ROOM))
        chat.clock.advance(1)
        assert [event for event in sue.outlet.of(Presence) if event.room] == []

    def test_the_join_of_a_sender_is_sent_before_their_first_message(self, chat):
        alex = member(chat)
        chat.settle()
        sue = chat.login("Sue", "password")
        chat.clock.advance(1)
        chat.do(sue, Join(ROOM))
        alex.outlet.take()
        chat.do(sue, Say("hello", room=ROOM))
        assert [type(event) for event in alex.outlet.take()] == [Presence, ChatMessage]

    def test_the_joins_of_others_can_wait_while_somebody_sends(self, chat):
        alex, sue = member(chat), chat.login("Sue", "password")
        chat.settle()
        chat.do(sue, Join(ROOM))
        chat.do(alex, Say("hello", room=ROOM))
        assert [type(event) for event in alex.outlet.take()] == [ChatMessage]

    def test_joining_twice_has_no_further_effect(self, chat):
        alex = member(chat)
        chat.do(alex, Join(ROOM))
        chat.do(alex, Say("once", room=ROOM))
        assert texts(alex) == ["once"]
        chat.do(alex, Part(ROOM))
        assert chat.hub.rooms[ROOM].members() == ()

    def test_a_room_that_was_left_cannot_be_left_or_written_to(self, chat):
        alex = member(chat)
        chat.do(alex, Part(ROOM))
        for command in (Part(ROOM), Say("hello", room=ROOM)):
            with pytest.raises(NotInRoom):
                chat.do(alex, command)

    def test_somebody_who_left_receives_nothing_more_of_the_room(self, chat):
        alex, sue = member(chat), member(chat, "Sue")
        chat.do(alex, Part(ROOM))
        chat.settle()
        chat.do(sue, Say("hello", room=ROOM))
        chat.clock.advance(1)
        assert alex.outlet.take() == []

    def test_a_closed_connection_is_in_no_room(self, chat):
        chat.hub.close(member(chat))
        assert chat.hub.rooms[ROOM].members() == ()

    def test_the_history_of_a_room_stays_when_everybody_has_left(self, chat):
        alex = member(chat)
        chat.do(alex, Say("hello", room=ROOM))
        chat.hub.close(alex)
        joined = chat.do(chat.login("Sue", "password"), Join(ROOM))
        assert [message.text for message in joined.history] == ["hello"]

    def test_a_connection_that_ends_while_it_joins_does_not_enter_the_room(self, chat, backplane):
        alex = chat.login("Alex", "password")
        backplane.during_enter = lambda: chat.hub.close(alex)
        with pytest.raises(LoginRequired):
            chat.do(alex, Join(ROOM))
        room = chat.hub.rooms[ROOM]
        assert (room.members(), len(room.sessions)) == ((), 0)

    def test_a_connection_that_changes_its_name_while_it_joins_does_not_enter_the_room(self, chat, backplane):
        alex = chat.login("Alex", "password")
        backplane.during_enter = lambda: chat.do(alex, Rename("guest"))
        with pytest.raises(LoginRequired):
            chat.do(alex, Join(ROOM))
        assert chat.hub.rooms[ROOM].members() == () and not alex.rooms

    def test_a_connection_that_joins_twice_at_the_same_time_is_in_the_room_once(self, chat, backplane):
        def join_again():
            backplane.during_enter = None
            chat.do(alex, Join(ROOM))

        alex = chat.login("Alex", "password")
        backplane.during_enter = join_again
        chat.do(alex, Join(ROOM))
        chat.do(alex, Part(ROOM))
        assert chat.hub.rooms[ROOM].members() == ()


class TestEvict:
    def test_all_connections_of_the_person_are_told_why_and_closed(self, chat):
        one, two = chat.login("Alex", "password"), chat.login("Alex", "password")
        bob = chat.login("bob")
        chat.settle()
        notice = Notice("name-taken", "Somebody else has it.")
        chat.hub.evict(one.person.name.key, notice)
        for session in (one, two):
            assert session.outlet.take() == [notice]
            assert session.outlet.closed is not None and session not in chat.hub.sessions
        assert (bob.outlet.closed, chat.hub.people.shown()) == (None, ("bob",))

    def test_somebody_who_is_not_here_is_no_error(self, chat):
        chat.hub.evict("nobody", Notice("name-taken", "Somebody else has it."))


def test_private_messages_and_messages_to_everyone_are_never_kept():
    chat = Chat()
    ada, bob = chat.login("ada"), chat.login("bob")
    chat.do(ada, Say("a word to everyone"))
    chat.do(ada, Tell("bob", "a private word"))
    for session in (ada, bob):
        session.outlet.take()
    words = {"a word to everyone", "a private word"}
    assert not [kept for kept in gc.get_objects() if isinstance(kept, ChatMessage) and kept.text in words]
