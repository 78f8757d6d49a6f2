"""Whose limit an address counts for."""

import pytest

from webchat.chat.addresses import network_of


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("::FFFF:C000:0201", "192.0.2.1"),
    ("2001:db8::1", "2001:db8::/64"),
    ("2001:DB8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
    ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
    ("fe80::1%eth0", "fe80::1%eth0"),
    ("::1", "::/64"),
])
def test_a_subscriber_is_an_ipv4_address_or_the_64_bits_of_an_ipv6_network(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize("text", ["", "unix:", "somewhere"])
def test_what_is_no_address_stays_as_it_is(text):
    assert network_of(text) == text
