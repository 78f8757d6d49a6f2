"""Accounts: which names need a password, the check of passwords, and the limits on guesses."""

import pytest

from tests.chat.fakes import Clock, at_once, immediately
from webchat.chat import passwords
from webchat.chat.accounts import Account, Accounts, demo_accounts, load
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.names import key, parse

HERE, THERE = "192.0.2.1", "192.0.2.2"


class FakeThreads:
    """The threads that compare passwords: records the comparisons; with `paused`, each waits to be resumed."""

    def __init__(self):
        self.calls = []
        self.paused = False

    async def run(self, compare, *args):
        self.calls.append(args)
        if self.paused:
            await Pause()
        return compare(*args)


class Pause:
    def __await__(self):
        yield self


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def threads():
    return FakeThreads()


@pytest.fixture
def demo(clock, threads):
    return demo_accounts(threads.run, clock=clock.time)


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
    def test_their_names_passwords_and_groups_are_those_of_the_documentation(self, demo, name, password, rooms):
        account = verify(demo, name, password)
        assert (account.name.text, account.rooms) == (name, rooms)


class TestVerify:
    def test_an_account_is_found_by_any_spelling_of_its_name(self, demo):
        assert demo.find(key("ALEX*")) is demo.find(key("Аlex")) is verify(demo, "aIex", "password")
        assert demo.find(key("Hugo")) is None

    def test_a_wrong_password_is_refused(self, demo):
        fail(demo, "Alex", 1)

    @pytest.mark.parametrize("password", ["pass\0word", "x" * 100_000, "\ud800", " "])
    def test_a_password_that_no_account_can_have_is_wrong(self, demo, password):
        with pytest.raises(BadCredentials):
            verify(demo, "Alex", password)

    def test_a_missing_password_does_not_count_as_a_guess(self, demo, threads):
        for _ in range(10):
            with pytest.raises(BadCredentials, match="password is missing"):
                verify(demo, "Alex", "")
        assert not threads.calls and verify(demo, "Alex", "password")

    def test_an_unknown_name_is_refused_like_a_wrong_password_after_the_same_work(self, demo, threads):
        answers = []
        for name in ("Alex", "Hugo"):
            with pytest.raises(BadCredentials) as refused:
                verify(demo, name, "wrong")
            answers.append(str(refused.value))
        assert answers[0] == answers[1]
        assert len({passwords.cost(hash) for hash, _ in threads.calls}) == 1

    def test_an_unknown_name_is_refused_even_with_the_password_of_the_dummy_hash(self, demo, threads):
        for password in ("admin", "password"):
            with pytest.raises(BadCredentials):
                verify(demo, "Hugo", password)
        assert any(passwords.matches(*call) for call in threads.calls)

    def test_an_unknown_name_costs_as_much_as_the_most_expensive_hash(self, threads):
        cheap, expensive = (f"$argon2id$v=19$m={memory},t=1,p=1$TVpVTBYOcHb+gMhpIoqObg$FM9GO/wSO9ZrxddvjaTfEljkscmE7y"
                       for memory in (1024, 2048))
        known = Accounts([Account(parse("ada"), (), cheap), Account(parse("bob"), (), expensive)], threads.run)
        fail(known, "Hugo", 1)
        assert threads.calls[0][0] == expensive

    def test_without_any_accounts_a_password_costs_as_much_as_a_newly_made_hash(self, threads):
        fail(Accounts((), threads.run), "Hugo", 1)
        assert passwords.cost(threads.calls[0][0]) == passwords.HASHER.memory_cost * passwords.HASHER.time_cost


class TestGuessing:
    def test_after_five_wrong_passwords_even_the_right_one_is_refused(self, demo, threads):
        fail(demo, "Alex", 5)
        with pytest.raises(SlowDown, match="wait a minute"):
            verify(demo, "Alex", "password")
        assert len(threads.calls) == 5

    def test_it_is_accepted_a_minute_after_them_even_if_there_were_more_attempts(self, demo, clock):
        fail(demo, "Alex", 5)
        for _ in range(10):
            clock.advance(5.99)
            with pytest.raises(SlowDown):
                verify(demo, "ALEX", "wrong")
        clock.advance(0.2)
        assert verify(demo, "Alex", "password")

    def test_a_successful_login_does_not_reset_the_count(self, demo):
        fail(demo, "Alex", 4)
        assert verify(demo, "Alex", "password")
        fail(demo, "Alex", 1)
        with pytest.raises(SlowDown):
            verify(demo, "Alex", "password")

    def test_other_names_and_other_addresses_are_not_limited(self, demo):
        fail(demo, "Alex", 5)
        assert verify(demo, "Sue", "password") and verify(demo, "Alex", "password", THERE)

    def test_a_name_without_an_account_is_limited_too(self, demo):
        fail(demo, "Hugo", 5)
        with pytest.raises(SlowDown):
            verify(demo, "hugo", "wrong")

    def test_guesses_made_at_the_same_time_are_limited_too(self, demo, threads):
        threads.paused = True
        guesses = [demo.verify(parse("Alex"), guess, HERE) for guess in ["wrong"] * 5 + ["password"]]
        for guess in guesses:
            guess.send(None)
        outcomes = []
        for guess in guesses:
            with pytest.raises((BadCredentials, SlowDown)) as refused:
                guess.send(None)
            outcomes.append(refused.type)
        assert outcomes == [BadCredentials] * 5 + [SlowDown]

    def test_the_number_of_waiting_comparisons_is_bounded_and_recovers(self, demo, threads):
        limited = Accounts(demo, threads.run, max_waiting=2)
        threads.paused = True
        waiting = [limited.verify(parse("Alex"), "password", HERE) for _ in range(2)]
        for one in waiting:
            one.send(None)
        with pytest.raises(SlowDown, match="logging in"):
            verify(limited, "Sue", "password")
        for one in waiting:
            one.close()
        threads.paused = False
        assert verify(limited, "Sue", "password")

    def test_reloaded_accounts_keep_the_count_of_wrong_passwords(self, tmp_path):
        file = tmp_path / "accounts.toml"
        file.touch()
        before = load(file, immediately)
        fail(before, "Alex", 5)
        for after in (load(file, immediately, failures=before.failures),
                      demo_accounts(immediately, failures=before.failures)):
            with pytest.raises(SlowDown):
                verify(after, "Alex", "password")


def test_the_repr_of_an_account_does_not_contain_its_hash():
    assert "argon2" not in repr(demo_accounts(immediately).find(key("Alex")))
