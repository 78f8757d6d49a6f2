"""Accounts: whose name it is, whether the password is right, and what guessing costs."""

import pytest

from tests.chat.fakes import Clock, at_once, immediately
from webchat.chat import accounts, passwords
from webchat.chat.accounts import Account, Accounts, demo_accounts
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.names import key, parse

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Thread:
    """Stands in for the threads that compare passwords: keeps what it is asked to do until it is told to."""

    def __init__(self):
        self.calls = []
        self.held = False

    async def run(self, call, *args):
        self.calls.append(args)
        if self.held:
            await Turn()
        return call(*args)


class Turn:
    def __await__(self):
        yield self


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def thread():
    return Thread()


@pytest.fixture
def demo(clock, thread):
    return demo_accounts(thread.run, clock=clock.time)


def verify(known: Accounts, name: str, password: str, address: str = HERE) -> Account:
    return at_once(known.verify(parse(name), password, address))


def fail(known: Accounts, name: str, times: int, address: str = HERE) -> None:
    for _ in range(times):
        with pytest.raises(BadCredentials):
            verify(known, name, "wrong", address)


class TestDemoAccounts:
    @pytest.mark.parametrize(("name", "password", "rooms"), [
        ("admin", "admin", ()), ("Alex", "password", ("8 out of 10 cats", "Taskmaster")),
        ("Sue", "password", ("8 out of 10 cats", "Quite Interesting", "Taskmaster")),
        ("Sandy", "password", ("Quite Interesting", "Taskmaster")),
    ])
    def test_are_those_of_the_contract(self, demo, name, password, rooms):
        account = verify(demo, name, password)
        assert (account.name.text, account.rooms) == (name, rooms)

    def test_their_rooms_are_all_rooms_there_are(self, demo):
        assert demo.rooms() == {"8 out of 10 cats", "Quite Interesting", "Taskmaster"}


class TestVerify:
    def test_an_account_is_found_by_any_spelling_of_its_name(self, demo):
        assert demo.find(key("ALEX*")) is demo.find(key("Аlex")) is verify(demo, "aIex", "password")
        assert demo.find(key("Hugo")) is None

    def test_a_wrong_password_is_refused(self, demo):
        fail(demo, "Alex", 1)

    @pytest.mark.parametrize("password", ["pass\0word", "x" * 100_000, "\ud800", " "])
    def test_a_password_that_nobody_can_have_is_a_wrong_one(self, demo, password):
        with pytest.raises(BadCredentials):
            verify(demo, "Alex", password)

    def test_a_missing_password_is_no_guess(self, demo, thread):
        for _ in range(10):
            with pytest.raises(BadCredentials, match="password is missing"):
                verify(demo, "Alex", "")
        assert not thread.calls and verify(demo, "Alex", "password")

    def test_an_unknown_name_gets_the_answer_of_a_wrong_password_after_the_same_work(self, demo, thread):
        answers = []
        for name in ("Alex", "Hugo"):
            with pytest.raises(BadCredentials) as refused:
                verify(demo, name, "wrong")
            answers.append(str(refused.value))
        assert answers[0] == answers[1]
        assert len({passwords.work(hash) for hash, _ in thread.calls}) == 1

    def test_an_unknown_name_is_refused_even_with_the_password_it_is_compared_with(self, demo, thread):
        for password in ("admin", "password"):
            with pytest.raises(BadCredentials):
                verify(demo, "Hugo", password)
        assert any(passwords.matches(*call) for call in thread.calls)

    def test_where_accounts_differ_in_cost_an_unknown_name_costs_the_most(self, thread):
        cheap, dear = (f"$argon2id$v=19$m={memory},t=1,p=1$TVpVTBYOcHb+gMhpIoqObg$FM9GO/wSO9ZrxddvjaTfEljkscmE7y"
                       for memory in (1024, 2048))
        known = Accounts([Account(parse("ada"), (), cheap), Account(parse("bob"), (), dear)], thread.run)
        fail(known, "Hugo", 1)
        assert thread.calls[0][0] == dear

    def test_without_any_account_a_password_is_refused_as_slowly_as_with_those_that_we_make(self, thread):
        fail(Accounts((), thread.run), "Hugo", 1)
        assert passwords.work(thread.calls[0][0]) == passwords.HASHER.memory_cost * passwords.HASHER.time_cost

    def test_passwords_are_compared_as_prepared_text(self):
        assert passwords.matches(passwords.hashed("caf\u00e9 x"), "cafe\u0301\u00a0x")


class TestPace:
    def test_after_five_wrong_passwords_not_even_the_right_one_is_taken(self, demo, thread):
        fail(demo, "Alex", 5)
        with pytest.raises(SlowDown, match="wait a minute"):
            verify(demo, "Alex", "password")
        assert len(thread.calls) == 5

    def test_it_is_taken_again_when_the_minute_has_passed_whatever_was_tried_meanwhile(self, demo, clock):
        fail(demo, "Alex", 5)
        for _ in range(10):
            clock.advance(5.99)
            with pytest.raises(SlowDown):
                verify(demo, "ALEX", "wrong")
        clock.advance(0.2)
        assert verify(demo, "Alex", "password")

    def test_four_are_forgiven_and_a_success_does_not_wipe_them(self, demo):
        fail(demo, "Alex", 4)
        assert verify(demo, "Alex", "password")
        fail(demo, "Alex", 1)
        with pytest.raises(SlowDown):
            verify(demo, "Alex", "password")

    def test_other_names_and_other_addresses_are_not_slowed_down(self, demo):
        fail(demo, "Alex", 5)
        assert verify(demo, "Sue", "password") and verify(demo, "Alex", "password", THERE)

    def test_a_name_without_an_account_is_slowed_down_alike(self, demo):
        fail(demo, "Hugo", 5)
        with pytest.raises(SlowDown):
            verify(demo, "hugo", "wrong")

    def test_guesses_made_at_the_same_time_are_no_way_around(self, demo, thread):
        thread.held = True
        guesses = [demo.verify(parse("Alex"), guess, HERE) for guess in ["wrong"] * 5 + ["password"]]
        for guess in guesses:
            guess.send(None)
        outcomes = []
        for guess in guesses:
            with pytest.raises((BadCredentials, SlowDown)) as refused:
                guess.send(None)
            outcomes.append(refused.type)
        assert outcomes == [BadCredentials] * 5 + [SlowDown]

    def test_the_queue_for_comparisons_is_bounded_and_recovers(self, demo, thread, monkeypatch):
        monkeypatch.setattr(accounts, "MOST_WAITING", 2)
        thread.held = True
        waiting = [demo.verify(parse("Alex"), "password", HERE) for _ in range(2)]
        for one in waiting:
            one.send(None)
        with pytest.raises(SlowDown, match="logging in"):
            verify(demo, "Sue", "password")
        for one in waiting:
            one.close()
        thread.held = False
        assert verify(demo, "Sue", "password")

    def test_other_accounts_can_take_over_the_memory_of_failures(self, demo, clock):
        fail(demo, "Alex", 5)
        reloaded = demo_accounts(immediately, failures=demo.failures, clock=clock.time)
        with pytest.raises(SlowDown):
            verify(reloaded, "Alex", "password")


def test_an_accounts_hash_is_not_printed():
    assert "argon2" not in repr(demo_accounts(immediately).find(key("Alex")))
