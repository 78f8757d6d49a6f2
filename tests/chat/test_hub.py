"""The hub: login, messages, rooms and presence, without a socket in sight."""

import gc

import pytest

from tests.chat.fakes import Chat, Outlet
from webchat.backplane.local import LocalBackplane
from webchat.chat.errors import (
    BadCredentials,
    BadMessage,
    BadName,
    LoginRequired,
    NameTaken,
    NoSuchUser,
    NotAMember,
    NotInRoom,
    ServerFull,
    SlowDown,
)
from webchat.chat.events import ChatMessage, Join, Login, Part, Presence, Rename, Say, Tell, Type, Typing, Welcome


@pytest.fixture
def chat():
    return Chat()


def texts(session):
    return [message.text for message in session.outlet.of(ChatMessage)]


class TestLogin:
    def test_the_welcome_says_who_one_is_and_who_is_here(self, chat):
        chat.login("ada")
        bob = chat.open()
        welcome = chat.do(bob, Login("bob"))
        assert welcome == Welcome("bob", False, ("ada", "bob"), (), welcome.token)
        assert welcome.token

    def test_an_account_is_shown_with_an_asterisk_and_told_its_groups(self, chat):
        alex = chat.open()
        welcome = chat.do(alex, Login("Alex", "password"))
        assert (welcome.username, welcome.authenticated) == ("Alex*", True)
        assert welcome.rooms == ("8 out of 10 cats", "Taskmaster")

    def test_anybody_elses_asterisks_are_stripped(self, chat):
        assert chat.login("*ad＊a∗*").username == "ada"

    @pytest.mark.parametrize(("username", "password", "error"), [
        ("", "", BadName), ("ALL", "", BadName), ("admin", "", BadCredentials), ("admin", "wrong", BadCredentials),
        ("ADMIN", "", BadCredentials), ("nobody", "secret", BadCredentials), ("ada", "", NameTaken),
        ("аdа", "", NameTaken),
    ])
    def test_a_refused_login_leaves_nothing(self, chat, username, password, error):
        chat.login("ada")
        before = (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.rooms))
        session = chat.open()
        with pytest.raises(error):
            chat.do(session, Login(username, password))
        chat.hub.close(session)
        assert (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.rooms)) == before
        assert len(chat.hub.sessions) == 1
        assert session.username is None

    def test_after_a_refusal_the_same_connection_may_try_again_and_hears_each_message_once(self, chat):
        ada, session = chat.login("ada"), chat.open()
        for _ in range(2):
            with pytest.raises(BadCredentials):
                chat.do(session, Login("admin", "wrong"))
        chat.do(session, Login("admin", "admin"))
        chat.do(ada, Say("hello"))
        assert texts(session) == ["hello"]

    def test_the_token_lets_a_second_connection_take_the_same_name(self, chat):
        session = chat.open()
        token = chat.do(session, Login("ada")).token
        assert chat.login("ada", token=token).username == "ada"
        with pytest.raises(NameTaken):
            chat.login("ada", token="guess")

    def test_the_token_stands_for_an_accounts_password_while_it_is_here(self, chat):
        session = chat.open()
        token = chat.do(session, Login("admin", "admin")).token
        assert chat.login("admin", token=token).username == "admin*"
        with pytest.raises(BadCredentials):
            chat.login("Alex", token=token)

    def test_an_account_may_be_here_several_times(self, chat):
        chat.login("admin", "admin")
        second = chat.login("admin", "admin")
        assert chat.hub.people.shown() == ("admin*",)
        assert second.username == "admin*"

    def test_a_name_is_free_again_when_its_last_connection_has_gone(self, chat):
        chat.hub.close(chat.login("ada"))
        assert chat.login("ada").username == "ada"

    def test_logging_in_twice_is_refused_and_changes_nothing(self, chat):
        ada = chat.login("ada")
        with pytest.raises(BadMessage):
            chat.do(ada, Login("bob"))
        assert chat.hub.people.shown() == ("ada",)

    def test_a_connection_that_ends_during_its_login_leaves_nothing(self):
        class Slow(LocalBackplane):
            async def claim(self, *args):
                chat.hub.close(session)
                return await super().claim(*args)

        chat = Chat(backplane=Slow())
        session = chat.open()
        with pytest.raises(BadMessage):
            chat.do(session, Login("ada"))
        assert (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.sessions)) == (0, 0, 0)
        session = chat.open()
        with pytest.raises(BadMessage):  # the name was given back, so that this is not NameTaken
            chat.do(session, Login("ada"))

    def test_a_full_server_says_so(self):
        chat = Chat(capacity=1)
        chat.open()
        with pytest.raises(ServerFull):
            chat.open()

    @pytest.mark.parametrize("command", [
        Say("x"), Tell("ada", "x"), Join("Taskmaster"), Part("Taskmaster"), Type(), Rename("x")])
    def test_nothing_is_done_for_somebody_who_has_not_logged_in(self, chat, command):
        with pytest.raises(LoginRequired):
            chat.do(chat.open(), command)


class TestMessages:
    def test_a_message_to_everyone_comes_back_to_its_sender_too(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        receipt = chat.do(ada, Say("hello"))
        for session in (ada, bob):
            (message,) = session.outlet.of(ChatMessage)
            assert message == ChatMessage(receipt.id, receipt.time, "ada", False, "hello")

    def test_a_door_without_echo_does_not_return_it(self, chat):
        ada, bob = chat.login("ada", echo=False), chat.login("bob")
        chat.do(ada, Say("hello"))
        assert (texts(ada), texts(bob)) == ([], ["hello"])

    def test_a_private_message_reaches_every_connection_of_the_recipient_and_the_senders_other_ones(self, chat):
        alex, other = chat.login("Alex", "password"), chat.login("Alex", "password")
        sue, phone = chat.login("Sue", "password"), chat.login("Sue", "password")
        bob = chat.login("bob")
        chat.do(alex, Tell("Sue", "hush"))
        assert [texts(session) for session in (alex, other, sue, phone, bob)] == [[], ["hush"], ["hush"], ["hush"], []]

    @pytest.mark.parametrize("name", ["Sue", "Sue*", "sue", " SUE "])
    def test_a_recipient_is_found_by_shown_name_the_asterisk_optional(self, chat, name):
        sue = chat.login("Sue", "password")
        chat.do(chat.login("ada"), Tell(name, "hello"))
        (message,) = sue.outlet.of(ChatMessage)
        assert message.to_user == "Sue*"

    def test_a_message_to_nobody_is_refused(self, chat):
        with pytest.raises(NoSuchUser):
            chat.do(chat.login("ada"), Tell("nobody", "hello"))

    def test_a_message_to_oneself_arrives(self, chat):
        ada = chat.login("ada")
        chat.do(ada, Tell("ada", "note"))
        assert texts(ada) == ["note"]

    def test_ids_sort_in_the_order_of_sending(self, chat):
        ada = chat.login("ada")
        ids = [chat.do(ada, Say(str(n))).id for n in range(50)]
        assert ids == sorted(ids)
        assert len(set(ids)) == 50

    def test_an_event_is_encoded_once_for_all_who_share_a_codec(self, chat):
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

    def test_too_many_messages_at_once_are_refused_for_the_user_not_the_connection(self):
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

    def test_typing_is_hinted_to_the_others_and_not_too_often(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        for _ in range(9):
            chat.do(ada, Type())
        assert bob.outlet.of(Typing) == 5 * [Typing("ada")]
        assert ada.outlet.of(Typing) == []
        chat.clock.advance(0.5)
        for _ in range(2):
            chat.do(ada, Type(to_user="bob"))
        assert bob.outlet.of(Typing) == [Typing("ada", to_user="bob")]

    def test_typing_is_hinted_to_each_whom_one_turns_to_in_quick_succession(self, chat):
        alex, sue = chat.login("Alex", "password"), chat.login("Sue", "password")
        for session in (alex, sue):
            chat.do(session, Join("Taskmaster"))
        for where in ({}, {"room": "Taskmaster"}, {"to_user": "Sue*"}):
            chat.do(alex, Type(**where))
        assert sue.outlet.of(Typing) == [
            Typing("Alex*"), Typing("Alex*", room="Taskmaster"), Typing("Alex*", to_user="Sue*")]


class TestPresence:
    def test_those_who_are_here_are_told_what_changed_within_a_tenth_of_a_second(self, chat):
        ada = chat.login("ada")
        chat.settle()
        bob, _ = chat.login("bob"), chat.login("cyd")
        chat.hub.close(bob)
        chat.login("dan")
        assert ada.outlet.take() == []
        chat.clock.advance(0.1)
        assert ada.outlet.take() == [Presence(("cyd", "dan"), ())]

    def test_a_newcomer_is_told_only_what_changed_after_the_welcome(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.login("cyd")
        chat.clock.advance(0.1)
        assert ada.outlet.of(Presence) == [Presence(("bob", "cyd"), ())]
        assert bob.outlet.of(Presence) == [Presence(("cyd",), ())]

    def test_the_second_connection_of_a_name_and_its_end_are_nobodys_business(self, chat):
        ada, _ = chat.login("ada"), chat.login("admin", "admin")
        chat.settle()
        chat.hub.close(chat.login("admin", "admin"))
        chat.clock.advance(1)
        assert ada.outlet.take() == []

    def test_whoever_speaks_is_introduced_before_his_first_word(self, chat):
        ada = chat.login("ada")
        chat.settle()
        chat.do(chat.login("bob"), Say("hello"))
        assert [type(event) for event in ada.outlet.take()] == [Presence, ChatMessage]

    def test_closing_twice_is_closing_once(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        chat.hub.close(bob)
        chat.hub.close(bob)
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence((), ("bob",))]

    def test_a_new_name_is_a_leave_and_a_join(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        assert chat.do(bob, Rename("rob")).username == "rob"
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("rob",), ("bob",))]
        assert chat.login("bob").username == "bob"

    def test_a_name_in_another_spelling_stays_ones_own(self, chat):
        bob = chat.login("bob")
        assert chat.do(bob, Rename("Bob")).username == "Bob"
        with pytest.raises(NameTaken):
            chat.login("bob")

    def test_a_refused_new_name_changes_nothing(self, chat):
        chat.login("ada")
        bob = chat.login("bob")
        with pytest.raises(NameTaken):
            chat.do(bob, Rename("ada"))
        assert chat.hub.people.shown() == ("ada", "bob")


class TestRooms:
    ROOM = "Taskmaster"

    def member(self, chat, name):
        session = chat.login(name, "password")
        chat.do(session, Join(self.ROOM))
        return session

    def test_only_members_may_join_and_a_stranger_cannot_tell_whether_a_room_exists(self, chat):
        ada = chat.login("ada")
        answers = set()
        for room in ("Taskmaster", "No such room"):
            with pytest.raises(NotAMember) as refused:
                chat.do(ada, Join(room))
            answers.add(str(refused.value))
        assert len(answers) == 1
        with pytest.raises(NotAMember):
            chat.do(chat.login("Alex", "password"), Join("Quite Interesting"))

    def test_only_those_who_joined_may_speak_and_hear(self, chat):
        alex, sue = self.member(chat, "Alex"), self.member(chat, "Sue")
        sandy = chat.login("Sandy", "password")
        chat.do(alex, Say("hello", room=self.ROOM))
        assert [texts(session) for session in (alex, sue, sandy)] == [["hello"], ["hello"], []]
        with pytest.raises(NotInRoom):
            chat.do(sandy, Say("hello", room=self.ROOM))

    def test_joining_gives_the_members_and_the_last_ten_messages_oldest_first(self, chat):
        alex = self.member(chat, "Alex")
        chat.hub._message_rate = 0
        for n in range(12):
            chat.do(alex, Say(str(n), room=self.ROOM))
        joined = chat.do(chat.login("Sue", "password"), Join(self.ROOM))
        assert joined.members == ("Alex*", "Sue*")
        assert [message.text for message in joined.history] == [str(n) for n in range(2, 12)]

    def test_a_rooms_name_may_be_written_in_any_case_and_with_a_hash(self, chat):
        assert chat.do(chat.login("Alex", "password"), Join("#taskmaster")).room == self.ROOM

    def test_those_in_the_room_are_told_who_comes_and_goes(self, chat):
        alex = self.member(chat, "Alex")
        chat.settle()
        sue = self.member(chat, "Sue")
        chat.clock.advance(0.1)
        assert Presence(("Sue*",), (), self.ROOM) in alex.outlet.take()
        chat.do(sue, Part(self.ROOM))
        chat.clock.advance(0.1)
        assert alex.outlet.take() == [Presence((), ("Sue*",), self.ROOM)]
        with pytest.raises(NotInRoom):
            chat.do(sue, Part(self.ROOM))

    def test_joining_twice_is_being_there_once(self, chat):
        alex = self.member(chat, "Alex")
        chat.do(alex, Join(self.ROOM))
        chat.do(alex, Say("once", room=self.ROOM))
        assert texts(alex) == ["once"]
        chat.do(alex, Part(self.ROOM))
        assert chat.hub.rooms[self.ROOM].members() == ()

    def test_whoever_is_gone_is_in_no_room(self, chat):
        chat.hub.close(self.member(chat, "Alex"))
        assert chat.hub.rooms[self.ROOM].members() == ()

    def test_whoever_takes_a_guests_name_leaves_the_rooms(self, chat):
        alex = self.member(chat, "Alex")
        chat.do(alex, Rename("guest"))
        assert chat.hub.rooms[self.ROOM].members() == ()
        with pytest.raises(NotInRoom):
            chat.do(alex, Say("x", room=self.ROOM))


def test_private_messages_and_messages_to_everyone_are_never_kept(chat):
    ada, bob = chat.login("ada"), chat.login("bob")
    chat.do(ada, Say("a word to everyone"))
    chat.do(ada, Tell("bob", "a private word"))
    for session in (ada, bob):
        session.outlet.take()
    words = {"a word to everyone", "a private word"}
    assert not [kept for kept in gc.get_objects() if isinstance(kept, ChatMessage) and kept.text in words]
