"""Logins and changes of name: who gets which name, and what a refused one leaves behind."""

import pytest

from tests.chat.fakes import Chat, WatchedBackplane, immediately
from webchat.chat import names
from webchat.chat.accounts import Accounts, demo_accounts
from webchat.chat.errors import BadCredentials, BadMessage, BadName, NameTaken, NotAMember, ServerFull, SlowDown
from webchat.chat.events import ChatMessage, Join, Login, Notice, Presence, Rename, Say, Welcome

NODE = "0" * 16


@pytest.fixture
def chat():
    return Chat()


def accounts():
    return demo_accounts(run=immediately)


def no_accounts():
    return Accounts((), run=immediately)


class TestLogin:
    def test_the_welcome_has_the_own_name_and_those_of_everybody(self, chat):
        chat.login("ada")
        bob = chat.open()
        welcome = chat.do(bob, Login("bob"))
        assert welcome == Welcome("bob", False, ("ada", "bob"), (), welcome.token)
        assert welcome.token

    def test_an_account_is_shown_with_an_asterisk_and_told_its_groups(self, chat):
        alex = chat.open()
        assert (alex.username, alex.authenticated) == (None, False)
        welcome = chat.do(alex, Login("Alex", "password"))
        assert (welcome.username, welcome.authenticated) == ("Alex*", True)
        assert (alex.username, alex.authenticated) == ("Alex*", True)
        assert welcome.rooms == ("8 out of 10 cats", "Taskmaster")

    def test_asterisks_in_a_guests_name_are_removed(self, chat):
        ada = chat.login("*ad＊a∗*")
        assert (ada.username, ada.authenticated) == ("ada", False)

    def test_an_account_is_shown_in_its_own_spelling(self, chat):
        assert chat.login("ALEX", "password").username == "Alex*"

    @pytest.mark.parametrize(("username", "password", "error"), [
        ("", "", BadName), ("ALL", "", BadName), ("admin", "", BadCredentials), ("admin", "wrong", BadCredentials),
        ("ADMIN", "", BadCredentials), ("nobody", "secret", BadCredentials), ("ada", "", NameTaken),
        ("аdа", "", BadName), ("ａＤa", "", NameTaken),
    ])
    def test_a_refused_login_leaves_nothing_behind(self, chat, username, password, error):
        chat.login("ada")
        before = (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.rooms))
        session = chat.open()
        with pytest.raises(error):
            chat.do(session, Login(username, password))
        assert session.username is None
        chat.hub.close(session)
        assert (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.rooms)) == before
        assert len(chat.hub.sessions) == 1

    def test_a_refused_login_is_counted_by_its_code(self, chat):
        with pytest.raises(BadCredentials):
            chat.login("admin", "wrong")
        assert chat.hub.refusals == {"bad-credentials": 1}

    def test_after_a_refusal_the_same_connection_can_log_in_and_receives_each_message_once(self, chat):
        ada, session = chat.login("ada"), chat.open()
        for _ in range(2):
            with pytest.raises(BadCredentials):
                chat.do(session, Login("admin", "wrong"))
        chat.do(session, Login("admin", "admin"))
        chat.do(ada, Say("hello"))
        assert [message.text for message in session.outlet.of(ChatMessage)] == ["hello"]

    def test_a_second_login_of_a_connection_is_refused_and_changes_nothing(self, chat):
        ada = chat.login("ada")
        with pytest.raises(BadMessage):
            chat.do(ada, Login("bob"))
        assert chat.hub.people.shown() == ("ada",)

    def test_a_login_during_another_login_of_the_same_connection_is_refused(self):
        def log_in_again():
            with pytest.raises(BadMessage):
                chat.do(session, Login("bob"))

        chat = Chat(backplane=WatchedBackplane(during_claim=log_in_again))
        session = chat.open()
        assert chat.do(session, Login("ada")).username == "ada"
        assert chat.hub.people.shown() == ("ada",)

    def test_an_account_can_have_several_connections(self, chat):
        chat.login("admin", "admin")
        second = chat.login("admin", "admin")
        assert chat.hub.people.shown() == ("admin*",)
        assert second.username == "admin*"

    def test_a_name_is_free_after_its_last_connection_has_ended(self, chat):
        chat.hub.close(chat.login("ada"))
        assert chat.login("ada").username == "ada"

    def test_a_name_is_not_free_while_one_of_its_connections_remains(self, chat):
        first = chat.open()
        token = chat.do(first, Login("ada")).token
        chat.login("ada", token=token)
        chat.hub.close(first)
        with pytest.raises(NameTaken):
            chat.login("ada")

    def test_too_many_wrong_passwords_from_one_address_are_refused(self, chat):
        for _ in range(5):
            with pytest.raises(BadCredentials):
                chat.login("Alex", "wrong")
        with pytest.raises(SlowDown):
            chat.login("Alex", "password")

    def test_a_connection_over_the_capacity_is_refused_until_another_ends(self):
        chat = Chat(capacity=1)
        first = chat.open()
        with pytest.raises(ServerFull):
            chat.open()
        chat.hub.close(first)
        chat.open()


class TestToken:
    def test_a_token_lets_another_connection_take_the_same_name(self, chat):
        session = chat.open()
        token = chat.do(session, Login("ada")).token
        assert chat.login("ada", token=token).username == "ada"
        with pytest.raises(NameTaken):
            chat.login("ada", token="guess")

    def test_a_further_connection_keeps_the_spelling_of_the_first(self):
        backplane = WatchedBackplane()
        chat = Chat(backplane=backplane)
        session = chat.open()
        token = chat.do(session, Login("Ada")).token
        assert chat.login("ADA", token=token).username == "Ada"
        assert backplane.claimed == ["Ada", "Ada"]

    def test_a_token_replaces_an_accounts_password_while_the_account_is_connected(self, chat):
        session = chat.open()
        token = chat.do(session, Login("admin", "admin")).token
        second = chat.login("admin", token=token)
        assert second.username == "admin*"
        with pytest.raises(BadCredentials):
            chat.login("Alex", token=token)
        for each in (session, second):
            chat.hub.close(each)
        with pytest.raises(BadCredentials):
            chat.login("admin", token=token)

    def test_a_wrong_token_does_not_replace_a_password(self, chat):
        chat.login("admin", "admin")
        with pytest.raises(BadCredentials):
            chat.login("admin", token="guess")

    def test_a_guests_token_does_not_replace_the_password_after_the_name_became_an_accounts(self):
        chat = Chat(no_accounts())
        token = chat.do(chat.open(), Login("Alex")).token
        chat.hub.accounts = accounts()
        with pytest.raises(BadCredentials):
            chat.login("Alex", token=token)

    def test_after_its_account_was_removed_a_token_gives_no_guest_the_name_that_is_still_held(self, chat):
        sue = chat.open()
        token = chat.do(sue, Login("Sue", "password")).token
        chat.hub.accounts = no_accounts()
        with pytest.raises(NameTaken):
            chat.login("Sue", token=token)
        assert chat.hub.people.shown() == ("Sue*",)


class TestInterruptedLogin:
    def test_a_connection_that_ends_during_its_login_leaves_nothing_behind(self):
        backplane = WatchedBackplane(during_claim=lambda: chat.hub.close(session))
        chat = Chat(backplane=backplane)
        session = chat.open()
        with pytest.raises(BadMessage, match="ended during the login"):
            chat.do(session, Login("ada"))
        assert (len(chat.hub.people), len(chat.hub.everyone), len(chat.hub.sessions)) == (0, 0, 0)
        backplane.during_claim = None
        assert chat.login("ada").username == "ada"

    def test_a_name_is_not_released_while_another_connection_is_claiming_it(self):
        def first_ends():
            backplane.during_claim = None
            chat.hub.close(first)

        backplane = WatchedBackplane()
        chat = Chat(backplane=backplane)
        first = chat.open()
        token = chat.do(first, Login("ada")).token
        backplane.during_claim = first_ends
        second = chat.open()
        assert chat.do(second, Login("ada", token=token)).token == token
        assert chat.hub.people.shown() == ("ada",)
        assert backplane.released == []

    def test_a_refused_claim_does_not_release_the_name_of_those_who_hold_it(self, chat):
        chat.login("ada")
        for _ in range(2):
            with pytest.raises(NameTaken):
                chat.login("ada")


class TestRename:
    def test_a_new_name_is_a_leave_and_a_join_and_frees_the_old_name(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        assert chat.do(bob, Rename("rob")).username == "rob"
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("rob",), ("bob",))]
        assert chat.login("bob").username == "bob"

    def test_the_renamed_connection_is_told_everybody_in_the_welcome_and_not_again(self, chat):
        chat.login("ada")
        bob = chat.login("bob")
        chat.settle()
        assert chat.do(bob, Rename("rob")).users == ("ada", "rob")
        assert chat.do(bob, Rename("ROB")).users == ("ada", "ROB")
        chat.clock.advance(1)
        assert bob.outlet.of(Presence) == []

    def test_a_guest_can_change_the_spelling_of_their_name_and_keeps_it(self, chat):
        ada, bob = chat.login("ada"), chat.login("bob")
        chat.settle()
        assert chat.do(bob, Rename("Bob")).username == "Bob"
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("Bob",), ("bob",))]
        with pytest.raises(NameTaken):
            chat.login("bob")

    def test_another_spelling_is_claimed_in_the_whole_chat(self):
        backplane = WatchedBackplane()
        chat = Chat(backplane=backplane)
        chat.do(chat.login("bob"), Rename("Bob"))
        assert (backplane.claimed, backplane.released) == (["bob", "Bob"], [])

    def test_somebody_whose_account_was_removed_keeps_their_name_even_if_they_claim_it_again(self, chat):
        sue = chat.login("Sue", "password")
        chat.hub.accounts = no_accounts()
        with pytest.raises(NameTaken):
            chat.do(sue, Rename("SUE"))
        assert sue.username == "Sue*"
        with pytest.raises(NameTaken):
            chat.login("Sue")

    def test_an_account_keeps_its_spelling(self, chat):
        alex = chat.login("Alex", "password")
        assert chat.do(alex, Rename("ALEX", "password")).username == "Alex*"

    def test_a_guest_can_change_to_an_account_with_its_password(self, chat):
        bob = chat.login("bob")
        welcome = chat.do(bob, Rename("Sue", "password"))
        assert (welcome.username, bob.authenticated) == ("Sue*", True)
        assert chat.hub.people.shown() == ("Sue*",)

    @pytest.mark.parametrize(("username", "error"), [("ada", NameTaken), ("Sue", BadCredentials), ("#", BadName)])
    def test_a_refused_new_name_changes_nothing(self, chat, username, error):
        chat.login("ada")
        bob = chat.login("bob")
        with pytest.raises(error):
            chat.do(bob, Rename(username))
        assert chat.hub.people.shown() == ("ada", "bob")
        chat.do(bob, Rename("rob"))

    def test_a_change_of_name_during_another_is_refused(self):
        def rename_again():
            backplane.during_claim = None
            with pytest.raises(BadMessage):
                chat.do(bob, Rename("other"))

        backplane = WatchedBackplane()
        chat = Chat(backplane=backplane)
        bob = chat.login("bob")
        backplane.during_claim = rename_again
        assert chat.do(bob, Rename("rob")).username == "rob"

    def test_somebody_who_changes_to_a_guests_name_leaves_their_rooms(self, chat):
        alex = chat.login("Alex", "password")
        chat.do(alex, Join("Taskmaster"))
        chat.do(alex, Rename("guest"))
        assert chat.hub.rooms["Taskmaster"].members() == ()


class TestGuestWhoseNameBecomesAnAccounts:
    def test_they_are_told_why_and_disconnected_when_the_account_logs_in(self):
        chat = Chat(no_accounts())
        guest = chat.login("Sue")
        chat.settle()
        chat.hub.accounts = accounts()
        sue = chat.login("sue", "password")
        assert [notice.code for notice in guest.outlet.of(Notice)] == ["name-taken"]
        assert guest.outlet.closed is not None and guest not in chat.hub.sessions
        assert (sue.username, chat.hub.people.shown()) == ("Sue*", ("Sue*",))

    def test_they_are_not_in_the_groups_of_the_account(self):
        chat = Chat(no_accounts())
        guest = chat.login("Alex")
        chat.hub.accounts = accounts()
        with pytest.raises(NotAMember):
            chat.do(guest, Join("Taskmaster"))

    def test_they_are_not_disconnected_by_a_wrong_password(self):
        chat = Chat(no_accounts())
        guest = chat.login("Sue")
        chat.hub.accounts = accounts()
        with pytest.raises(BadCredentials):
            chat.login("Sue", "wrong")
        assert (guest.outlet.closed, chat.hub.people.shown()) == (None, ("Sue",))

    def test_those_of_other_nodes_are_dropped_too(self, chat):
        chat.hub.remote_joined(NODE, names.parse("Sue"), False)
        chat.login("Sue", "password")
        assert chat.hub.people.shown() == ("Sue*",)
        assert not chat.hub.people.on_node(NODE)

    def test_they_stay_when_they_themselves_log_in_to_the_account(self):
        backplane = WatchedBackplane()
        chat = Chat(no_accounts(), backplane=backplane)
        ada, guest = chat.login("ada"), chat.open()
        token = chat.do(guest, Login("Sue")).token
        window = chat.login("Sue", token=token)
        chat.settle()
        chat.hub.accounts = accounts()
        welcome = chat.do(guest, Rename("Sue", "password"))
        assert (welcome.username, welcome.authenticated, welcome.users) == ("Sue*", True, ("ada", "Sue*"))
        assert welcome.token != token
        assert guest.outlet.closed is None and guest in chat.hub.sessions
        assert [notice.code for notice in window.outlet.of(Notice)] == ["name-taken"]
        assert backplane.released == []
        chat.clock.advance(1)
        assert ada.outlet.take() == [Presence(("Sue*",), ("Sue",))]
        assert chat.do(guest, Say("hello")).id

    def test_they_stay_a_guest_when_they_log_in_to_the_account_with_a_wrong_password(self):
        chat = Chat(no_accounts())
        guest = chat.login("Sue")
        chat.hub.accounts = accounts()
        with pytest.raises(BadCredentials):
            chat.do(guest, Rename("Sue", "wrong"))
        assert (guest.username, guest.outlet.closed) == ("Sue", None)

    def test_another_process_that_reports_the_guest_during_the_login_does_not_make_the_account_one(self):
        backplane = WatchedBackplane(lambda: chat.hub.remote_joined(NODE, names.parse("Sue"), False))
        chat = Chat(backplane=backplane)
        sue = chat.login("Sue", "password")
        assert (sue.username, chat.hub.people.shown()) == ("Sue*", ("Sue*",))

    def test_a_guest_does_not_become_the_account_that_another_process_reports_during_their_login(self):
        backplane = WatchedBackplane(lambda: chat.hub.remote_joined(NODE, names.parse("Sue"), True))
        chat = Chat(no_accounts(), backplane=backplane)
        with pytest.raises(NameTaken):
            chat.login("Sue")
        assert (chat.hub.people.shown(), backplane.released) == (("Sue*",), [names.key("Sue")])
