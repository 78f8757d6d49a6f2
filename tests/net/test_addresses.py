"""How connections are counted by their addresses."""

from ipaddress import ip_address, ip_network

import pytest

from webchat.net.addresses import AddressLimit, Place, key, parse
from webchat.net.proxies import Proxies


def nobody(address):
    return False


def take(limit, *addresses) -> list[Place]:
    places = [limit.take(address) for address in addresses]
    assert None not in places
    return places


@pytest.mark.parametrize(("one", "other"), [
    ("203.0.113.7", "203.0.113.7"), ("203.0.113.7", "::ffff:203.0.113.7"), ("2001:db8::1", "2001:DB8:0::1"),
    ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"), ("fe80::1", "fe80::1%eth0"),
])
def test_these_are_one_address(one, other):
    assert key(parse(one)) == key(parse(other))


@pytest.mark.parametrize(("one", "other"), [
    ("203.0.113.7", "203.0.113.8"), ("2001:db8::1", "2001:db8:0:1::1"), ("::cb00:7107", "203.0.113.7"),
    ("fe80::1", "fe80::2"),  # everybody on the cable has that /64
])
def test_these_are_two_addresses(one, other):
    assert key(parse(one)) != key(parse(other))


@pytest.mark.parametrize("text", ["", "localhost", "203.0.113", "203.0.113.7:80"])
def test_what_is_no_address_is_none(text):
    assert parse(text) is None


def test_an_address_gets_as_many_places_as_the_limit_and_others_do_not_suffer():
    limit = AddressLimit(2)
    take(limit, "203.0.113.7", "203.0.113.7")
    assert limit.take("203.0.113.7") is None
    assert limit.take("::ffff:203.0.113.7") is None
    take(limit, "203.0.113.8", "2001:db8::1", "2001:db8::2")
    assert limit.take("2001:db8::3") is None
    take(limit, "2001:db8:0:1::1")


def test_a_place_that_is_released_is_free_for_the_next_once():
    limit = AddressLimit(2)
    first, _ = take(limit, "203.0.113.7", "203.0.113.7")
    first.release()
    first.release()
    take(limit, "203.0.113.7")
    assert limit.take("203.0.113.7") is None


def test_nothing_is_left_of_an_address_without_connections():
    limit = AddressLimit(1)
    [place] = take(limit, "203.0.113.7")
    assert len(limit) == 1
    assert limit.take("203.0.113.7") is None
    place.release()
    assert len(limit) == 0


def test_without_a_limit_nothing_is_counted():
    limit = AddressLimit(0)
    take(limit, *["203.0.113.7"] * 1000)
    assert len(limit) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_is_not_counted_unless_told_so_nor_are_sockets_without_an_address(address):
    limit = AddressLimit(1)
    take(limit, *[address] * 3)
    assert len(limit) == 0


def test_whom_to_exempt_is_a_choice():
    limit = AddressLimit(1, exempt=nobody)
    take(limit, "127.0.0.1", "127.0.0.2")
    assert limit.take("127.0.0.1") is None
    trusting = AddressLimit(1, exempt=Proxies([ip_network("10.0.0.0/8")]).include)
    take(trusting, *["10.0.0.1"] * 3)
    assert len(trusting) == 0


def test_a_place_moves_to_the_address_that_a_proxy_tells():
    limit = AddressLimit(1, exempt=lambda address: address == ip_address("10.0.0.1"))
    one, other = take(limit, "10.0.0.1", "10.0.0.1")
    assert one.move("203.0.113.7")
    assert limit.take("203.0.113.7") is None
    assert one.move("::ffff:203.0.113.7")  # it stays where it is
    assert one.move("203.0.113.8")
    assert other.move("203.0.113.7")
    assert len(limit) == 2
    assert one.move("10.0.0.1")
    assert len(limit) == 1


def test_a_place_that_cannot_move_counts_nowhere_and_may_try_another_address():
    limit = AddressLimit(1)
    one, other = take(limit, "203.0.113.7", "203.0.113.8")
    assert not other.move("203.0.113.7")
    assert len(limit) == 1
    take(limit, "203.0.113.8")
    assert other.move("203.0.113.9")
    one.release()
    other.release()
    assert len(limit) == 1


def test_a_released_place_moves_nowhere():
    limit = AddressLimit(1)
    [place] = take(limit, "203.0.113.7")
    place.release()
    assert place.move("203.0.113.8")
    assert len(limit) == 0


def test_an_address_that_has_too_many_is_logged_once_until_it_has_none(caplog):
    limit = AddressLimit(1)
    for _ in range(2):
        [place] = take(limit, "2001:db8::1")
        for _ in range(5):
            assert limit.take("2001:db8::2") is None
        place.release()
    [place] = take(limit, "203.0.113.7")
    assert limit.take("203.0.113.7") is None
    assert [record.getMessage() for record in caplog.records] == [
        "More than 1 connections from 2001:db8::/64: the others are refused."] * 2 + [
        "More than 1 connections from 203.0.113.7: the others are refused."]
