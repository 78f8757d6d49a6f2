"""Wrong passwords: who has to wait after them, how long, and who never does."""

import pytest

from webchat.chat.guesses import Guesses

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def guesses():
    return Guesses()


def guess(guesses, *, names, networks, at=0.0):
    """Wrong passwords for each of these names from each of these networks, where no pause forbids them."""
    for name in names:
        for network in networks:
            if not guesses.wait(name, network, at):
                guesses.wrong(name, network, at)


def networks(count):
    return [f"203.0.113.{number}" for number in range(count)]


def names(count):
    return [f"name {number}" for number in range(count)]


def test_a_network_has_twenty_a_minute_for_all_names_together(guesses):
    guess(guesses, names=names(19), networks=[HERE])
    assert guesses.wait("ada", HERE, 0.0) == 0
    guess(guesses, names=["ada"], networks=[HERE], at=30.0)
    assert [guesses.wait("bob", HERE, at) for at in (30.0, 60.0)] == [30.0, 0.0]
    assert guesses.wait("bob", THERE, 30.0) == 0


def test_a_name_has_five_from_all_networks_together_and_then_a_pause_that_grows(guesses):
    guess(guesses, names=["ada"], networks=networks(5))
    assert guesses.wait("ada", HERE, 0.0) == 1
    guess(guesses, names=["ada"], networks=networks(5), at=10.0)
    assert guesses.wait("ada", HERE, 10.0) == 2
    assert guesses.wait("bob", HERE, 10.0) == 0


def test_the_pause_is_at_most_a_minute(guesses):
    for number in range(100):
        guesses.wrong("ada", THERE, float(number))
    assert guesses.wait("ada", HERE, 99.0) == 60


def test_it_is_the_same_for_a_name_with_an_account(guesses):
    guesses.right("ada", THERE)
    guess(guesses, names=["ada", "bob"], networks=networks(5))
    assert guesses.wait("ada", HERE, 0.0) == guesses.wait("bob", HERE, 0.0) == 1


def test_an_owner_is_not_locked_out_of_where_they_were_last_by_guesses_from_elsewhere(guesses):
    guesses.right("ada", HERE)
    guess(guesses, names=["ada"], networks=networks(100))
    assert guesses.wait("ada", HERE, 0.0) == 0


def test_nor_by_guesses_at_other_names_in_the_same_network(guesses):
    guesses.right("ada", HERE)
    guess(guesses, names=names(20), networks=[HERE])
    assert guesses.wait("ada", HERE, 0.0) == 0 and guesses.wait("bob", HERE, 0.0) == 60


def test_nor_by_their_own_mistakes(guesses):
    guesses.right("ada", HERE)
    for _ in range(59):
        guesses.wrong("ada", HERE, 0.0)
    assert guesses.wait("ada", HERE, 0.0) == 0


def test_others_in_the_same_network_can_guess_no_faster_than_once_a_second_in_the_end(guesses):
    guesses.right("ada", HERE)
    for _ in range(1000):
        guesses.wrong("ada", HERE, 0.0)
    assert guesses.wait("ada", HERE, 0.0) == 1


def test_such_guesses_count_for_the_network_but_not_for_the_name_elsewhere(guesses):
    guesses.right("ada", HERE)
    for _ in range(20):
        guesses.wrong("ada", HERE, 0.0)
    assert guesses.wait("bob", HERE, 0.0) == 60 and guesses.wait("ada", THERE, 0.0) == 0


def test_only_the_last_place_of_an_owner_counts(guesses):
    for network in (HERE, THERE):
        guesses.right("ada", network)
    guess(guesses, names=["ada"], networks=networks(5))
    assert guesses.wait("ada", HERE, 0.0) == 1 and guesses.wait("ada", THERE, 0.0) == 0


def test_a_right_password_does_not_reset_the_count_of_wrong_ones(guesses):
    guess(guesses, names=["ada"], networks=networks(4))
    guesses.right("ada", THERE)
    guess(guesses, names=["ada"], networks=[HERE])
    assert guesses.wait("ada", HERE, 0.0) == 1


def test_the_places_of_owners_whose_accounts_are_gone_are_forgotten(guesses):
    for name in ("ada", "bob"):
        guesses.right(name, HERE)
    guess(guesses, names=["ada", "bob"], networks=networks(5))
    guesses.forget_all_but({"bob"})
    assert guesses.wait("ada", HERE, 0.0) == 1 and guesses.wait("bob", HERE, 0.0) == 0
