"""Allowances: what belongs to a connection and to its address, and for how long it is remembered."""

import pytest

from webchat.chat.allowances import (
    MESSAGES,
    NAMES,
    ROOMS,
    SENTENCES,
    TYPING,
    AddressBook,
    Allowances,
    Rate,
    address_rates,
    connection_rates,
)
from webchat.config import Config

HERE, THERE = "192.0.2.1", "2001:db8::1"
RATES = {MESSAGES: Rate(1, 2)}


def spend_all(allowances, kind=MESSAGES, now=0.0):
    """Return how much there was."""
    spent = 0
    while allowances[kind].take(now):
        spent += 1
    return spent


class TestAllowances:
    def test_each_kind_of_thing_has_its_own(self):
        allowances = Allowances({MESSAGES: Rate(1, 2), NAMES: Rate(1, 3)})
        assert (spend_all(allowances), spend_all(allowances, NAMES)) == (2, 3)

    def test_what_has_no_rate_has_no_limit(self):
        assert all(Allowances()[TYPING].take(0.0) for _ in range(1000))

    def test_they_are_full_when_all_are(self):
        allowances = Allowances(connection_rates(5))
        assert allowances.are_full(0.0)
        for kind in (MESSAGES, NAMES):
            allowances[kind].take(0.0)
        assert not allowances.are_full(0.9) and allowances.are_full(1.0)


class TestRates:
    def test_a_person_may_say_twice_a_seconds_messages_at_once(self):
        assert connection_rates(5)[MESSAGES] == Rate(5, 10) and address_rates(50)[MESSAGES] == Rate(50, 100)

    def test_without_a_limit_on_messages_a_connection_still_has_one_on_the_rest(self):
        allowances = Allowances(connection_rates(0))
        assert all(allowances[MESSAGES].take(0.0) for _ in range(1000))
        assert [spend_all(allowances, kind) for kind in (NAMES, ROOMS, TYPING)] == [10, 60, 5]

    def test_an_address_without_a_limit_on_messages_has_none_at_all(self):
        allowances = Allowances(address_rates(0))
        assert all(allowances[kind].take(0.0) for kind in (MESSAGES, NAMES, ROOMS, TYPING) for _ in range(10_000))

    def test_all_people_of_a_server_can_come_back_at_once_from_one_address_each_to_four_rooms(self):
        rates, people = address_rates(1000), Config().max_connections
        assert rates[NAMES].burst >= people and rates[ROOMS].burst >= 4 * people

    def test_an_address_may_do_more_than_a_connection(self):
        shared = address_rates(50)
        assert all(shared[kind].per_second > own.per_second and shared[kind].burst > own.burst
                   for kind, own in connection_rates(5).items())

    def test_each_refusal_has_a_sentence_and_typing_hints_are_dropped(self):
        assert set(SENTENCES) == set(connection_rates(5)) - {TYPING}


class TestAddressBook:
    @pytest.mark.parametrize("same", [HERE, f"::ffff:{HERE}"])
    def test_connections_of_one_address_share_their_allowances(self, same):
        book = AddressBook(RATES)
        assert book.enter(HERE, 0.0) is book.enter(same, 0.0)
        assert book.enter(THERE, 0.0) is not book.enter(HERE, 0.0)

    def test_connecting_again_brings_no_new_ones(self):
        book = AddressBook(RATES, tidy_at=1)
        shared = book.enter(HERE, 0.0)
        assert spend_all(shared) == 2
        book.leave(shared)
        book.enter(THERE, 1.5)
        assert spend_all(book.enter(HERE, 1.5), now=1.5) == 1

    def test_an_address_without_connections_is_forgotten_when_it_has_got_everything_back(self):
        book = AddressBook(RATES, tidy_at=1)
        shared = book.enter(HERE, 0.0)
        spend_all(shared)
        book.leave(shared)
        book.enter(THERE, 2.0)
        assert len(book) == 1

    def test_an_address_with_a_connection_is_never_forgotten(self):
        book = AddressBook(RATES, tidy_at=1)
        shared = book.enter(HERE, 0.0)
        book.leave(book.enter(HERE, 0.0))
        book.enter(THERE, 100.0)
        assert book.enter(HERE, 100.0) is shared

    def test_thousands_of_addresses_that_come_and_go_leave_no_more_than_a_thousand_behind(self):
        book = AddressBook(RATES)
        for number in range(20_000):
            book.leave(book.enter(f"10.0.{number // 256}.{number % 256}", 0.0))
        assert len(book) <= 1000

    def test_nobody_can_push_out_what_an_address_has_spent(self):
        book = AddressBook(RATES)
        shared = book.enter(HERE, 0.0)
        spend_all(shared)
        book.leave(shared)
        for number in range(20_000):
            book.leave(book.enter(f"10.0.{number // 256}.{number % 256}", 0.0))
        assert spend_all(book.enter(HERE, 0.0)) == 0

    def test_tidying_is_rare_while_many_addresses_have_connections(self):
        book = AddressBook(RATES, tidy_at=10)
        for number in range(20):
            book.enter(f"10.0.0.{number}", 0.0)
        for number in range(20):
            book.leave(book.enter(f"10.0.1.{number}", 0.0))
        assert len(book) == 40  # 20 in use when last tidied, so next at twice as many
