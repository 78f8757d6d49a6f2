"""Which address counts as the client's when requests come through proxies."""

from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from webchat.net.proxies import Proxies

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("::1")])


def request(peer, *headers):
    """A request from this peer; `headers` are (name, value) pairs."""
    received = HTTPHeaders({"Host": "chat.example"})
    for name, value in headers:
        received.add(name, value)
    connection = SimpleNamespace(context=SimpleNamespace(remote_ip=peer, protocol="http"))
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    return HTTPServerRequest(headers=received, connection=connection, start_line=start_line)


@pytest.mark.parametrize(("peer", "forwarded", "client"), [
    ("203.0.113.7", [], "203.0.113.7"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
    ("::1", ["2001:db8::7"], "2001:db8::7"),
    ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
    ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
    ("10.0.0.1", ["2001:DB8:0::7"], "2001:db8::7"),
])
def test_a_trusted_proxy_tells_the_clients_address(peer, forwarded, client):
    assert PROXIES.behind(peer, forwarded) == client


@pytest.mark.parametrize("forwarded", [["1.2.3.4, 203.0.113.7"], ["1.2.3.4", "203.0.113.7"], ["junk,203.0.113.7"]])
def test_entries_that_the_client_itself_sent_are_not_trusted(forwarded):
    assert PROXIES.behind("10.0.0.1", forwarded) == "203.0.113.7"


def test_a_chain_of_trusted_proxies_is_followed_to_its_beginning():
    assert PROXIES.behind("10.0.0.1", ["203.0.113.7, 10.2.0.1, 10.3.0.1"]) == "203.0.113.7"
    assert PROXIES.behind("10.0.0.1", ["10.2.0.1, 10.3.0.1"]) == "10.2.0.1"


@pytest.mark.parametrize("peer", ["203.0.113.9", "127.0.0.1", ""])
def test_a_peer_that_is_not_a_trusted_proxy_cannot_tell_an_address(peer):
    assert PROXIES.behind(peer, ["127.0.0.1"]) == peer


@pytest.mark.parametrize("last", ["unknown", "", "_hidden", "203.0.113.7:4711", "300.1.1.1"])
def test_an_entry_that_is_not_an_address_ends_the_chain_at_the_proxy_that_appended_it(last):
    assert PROXIES.behind("10.0.0.1", [f"203.0.113.7, {last}"]) == "10.0.0.1"


def test_without_trusted_proxies_every_client_is_its_peer():
    assert Proxies().behind("127.0.0.1", ["203.0.113.7"]) == "127.0.0.1"


@pytest.mark.parametrize(("peer", "trusted"), [
    ("10.255.0.1", True), ("::1", True), ("::ffff:10.0.0.1", True), ("11.0.0.1", False), ("::2", False), ("", False),
    ("example.org", False),
])
def test_a_proxy_is_trusted_by_its_network(peer, trusted):
    assert PROXIES.trusts(peer) is trusted


def test_the_client_of_a_request_is_found_through_all_its_forwarding_headers():
    assert PROXIES.client(request("10.0.0.1", ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "203.0.113.7"))
                          ) == "203.0.113.7"
    assert PROXIES.client(request("203.0.113.9", ("X-Forwarded-For", "1.2.3.4"))) == "203.0.113.9"
    assert PROXIES.client(request(None)) == ""


def test_the_client_of_a_request_is_found_in_its_environment_too():
    assert PROXIES.of_environ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "1.2.3.4,203.0.113.7"}
                              ) == "203.0.113.7"
    assert PROXIES.of_environ({"REMOTE_ADDR": "203.0.113.9", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}) == "203.0.113.9"
    assert PROXIES.of_environ({"REMOTE_ADDR": "10.0.0.1"}) == "10.0.0.1"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_a_request_straight_from_this_machine_is_local(peer):
    assert Proxies().is_local(request(peer))


@pytest.mark.parametrize("peer", ["10.0.0.1", "203.0.113.7", "2001:db8::7", "", None])
def test_a_request_from_another_machine_or_without_an_address_is_not_local(peer):
    assert not Proxies().is_local(request(peer))
    assert not PROXIES.is_local(request(peer))


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X-Forwarded-For", "X-Real-IP", "x-forwarded-for"])
def test_a_request_that_an_unknown_proxy_on_this_machine_forwarded_is_not_local(header):
    assert not Proxies().is_local(request("127.0.0.1", (header, "127.0.0.1")))


@pytest.mark.parametrize("header", [
    ("Forwarded", "for=127.0.0.1"), ("Via", "1.1 proxy"), ("X-Real-IP", "127.0.0.1"), ("X-Forwarded-For", "unknown"),
    ("X-Forwarded-For", "127.0.0.1, unknown"),
])
def test_a_request_whose_trusted_proxy_tells_no_address_that_is_understood_is_not_local(header):
    assert not PROXIES.is_local(request("::1", header))


def test_a_request_that_a_trusted_proxy_forwarded_is_local_if_its_client_is():
    assert PROXIES.is_local(request("::1", ("X-Forwarded-For", "127.0.0.1")))
    assert PROXIES.is_local(request("10.0.0.1", ("Via", "1.1 proxy"), ("X-Forwarded-For", "::1")))
    assert not PROXIES.is_local(request("::1", ("X-Forwarded-For", "203.0.113.7")))
