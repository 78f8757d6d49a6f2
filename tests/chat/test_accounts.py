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
        self.networks = []
        self.paused = False

    async def run(self, network, compare, *args):
        self.networks.append(network)
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
    """What Guesses counts is tested in test_guesses.py."""

    def test_after_five_wrong_passwords_even_the_right_one_has_to_wait_and_is_not_compared(self, demo, threads):
        fail(demo, "Alex", 5)
        with pytest.raises(SlowDown, match=r"wrong passwords; try again in 1 second\."):
            verify(demo, "Alex", "password")
        assert len(threads.calls) == 5

    def test_the_sentence_says_how_long_to_wait(self, demo, clock):
        fail(demo, "Alex", 5)
        for seconds in (2, 4, 8, 16, 32, 60, 60):
            clock.advance(60)
            fail(demo, "Alex", 1)
            with pytest.raises(SlowDown, match=rf"try again in {seconds} seconds\."):
                verify(demo, "Alex", "password")

    def test_the_right_password_is_accepted_after_the_pause_even_if_there_were_more_attempts(self, demo, clock):
        fail(demo, "Alex", 5)
        for _ in range(10):
            clock.advance(0.09)
            with pytest.raises(SlowDown):
                verify(demo, "ALEX", "wrong")
        clock.advance(0.11)
        assert verify(demo, "Alex", "password")

    def test_many_addresses_cannot_lock_an_owner_out_of_where_they_were_last(self, demo):
        verify(demo, "Alex", "password", HERE)
        fail(demo, "Alex", 5, THERE)
        with pytest.raises(SlowDown):
            verify(demo, "Alex", "password", "192.0.2.3")
        assert verify(demo, "Alex", "password", HERE)

    def test_every_address_of_one_subscriber_counts_as_the_same(self, demo, threads):
        for number in range(20):
            fail(demo, f"name {number}", 1, f"2001:db8::{number:x}")
        with pytest.raises(SlowDown):
            verify(demo, "Alex", "password", "2001:db8::ffff")
        assert verify(demo, "Alex", "password", "2001:db8:0:1::")
        assert set(threads.networks) == {"2001:db8::/64", "2001:db8:0:1::/64"}

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

    def test_reloaded_accounts_keep_the_count_of_wrong_passwords(self, tmp_path):
        file = tmp_path / "accounts.toml"
        file.touch()
        before = load(file, immediately)
        fail(before, "Alex", 5)
        for after in (load(file, immediately, guesses=before.guesses),
                      demo_accounts(immediately, guesses=before.guesses)):
            with pytest.raises(SlowDown):
                verify(after, "Alex", "password")

    def test_reloaded_accounts_still_know_where_the_owners_were_last(self, demo, threads):
        verify(demo, "Alex", "password", HERE)
        fail(demo, "Alex", 5, THERE)
        assert verify(Accounts(demo, threads.run, guesses=demo.guesses), "Alex", "password", HERE)


class TestWaiting:
    """Logins whose password waits to be compared."""

    @pytest.fixture
    def start(self, demo, threads):
        """Let somebody log in with the right password, and wait for the comparison."""
        limited = Accounts(demo, threads.run, max_waiting=4)
        threads.paused = True
        started = []

        def start(address, name="Alex"):
            login = limited.verify(parse(name), "password", address)
            started.append(login)
            login.send(None)
            return login

        yield start
        for login in started:
            login.close()

    def test_their_number_is_bounded_and_recovers(self, start):
        waiting = [start(HERE) for _ in range(4)]
        with pytest.raises(SlowDown, match="logging in"):
            start(HERE, "Sue")
        waiting[0].close()
        start(HERE, "Sue")

    def test_a_network_with_many_of_them_leaves_the_others_their_share(self, start):
        for _ in range(4):
            start(HERE)
        for _ in range(2):
            start(THERE)
        with pytest.raises(SlowDown):
            start(THERE)

    def test_the_first_of_a_network_is_always_let_in(self, start):
        for number in range(20):
            start(f"192.0.2.{number}")

    def test_networks_that_have_none_left_take_no_share(self, start):
        for login in [start(f"192.0.2.{number}") for number in range(20)]:
            login.close()
        for _ in range(4):
            start(HERE)


def test_the_repr_of_an_account_does_not_contain_its_hash():
    assert "argon2" not in repr(demo_accounts(immediately).find(key("Alex")))
