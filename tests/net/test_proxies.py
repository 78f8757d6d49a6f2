"""Whose address counts when requests come through proxies."""

from ipaddress import ip_network

import pytest

from webchat.net.proxies import Proxies

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("::1")])


@pytest.mark.parametrize(("peer", "forwarded", "client"), [
    ("203.0.113.7", [], "203.0.113.7"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
    ("::1", ["2001:db8::7"], "2001:db8::7"),
    ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
])
def test_a_trusted_proxy_names_the_client(peer, forwarded, client):
    assert PROXIES.behind(peer, forwarded) == client


@pytest.mark.parametrize("forwarded", [["1.2.3.4, 203.0.113.7"], ["1.2.3.4", "203.0.113.7"], ["junk,203.0.113.7"]])
def test_what_the_client_itself_put_in_front_is_not_believed(forwarded):
    assert PROXIES.behind("10.0.0.1", forwarded) == "203.0.113.7"


def test_a_chain_of_trusted_proxies_is_followed_to_its_beginning():
    assert PROXIES.behind("10.0.0.1", ["203.0.113.7, 10.2.0.1, 10.3.0.1"]) == "203.0.113.7"


def test_a_stranger_is_not_believed_at_all():
    assert PROXIES.behind("203.0.113.9", ["127.0.0.1"]) == "203.0.113.9"


def test_a_hop_that_is_no_address_ends_the_chain_at_the_proxy():
    assert PROXIES.behind("10.0.0.1", ["203.0.113.7, unknown"]) == "10.0.0.1"
