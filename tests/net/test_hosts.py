"""The host names that a server answers to."""

import socket
import threading

import pytest

from webchat.net.hosts import Hosts, host_name

REACHED = "192.0.2.7"
"""The address of this machine at which the client reached it."""


@pytest.mark.parametrize(("authority", "name"), [
    ("localhost", "localhost"), ("LocalHost:8000", "localhost"), ("chat.example.", "chat.example"),
    ("chat.example.:80", "chat.example"), ("127.0.0.1:8000", "127.0.0.1"), ("[::1]:8000", "::1"),
    ("[0:0:0:0:0:0:0:1]", "::1"), ("[FE80::1]", "fe80::1"), ("localhost:", "localhost"), ("", ""),
])
def test_a_host_is_compared_without_case_port_brackets_and_final_dot(authority, name):
    assert host_name(authority) == name


@pytest.mark.parametrize("authority", [
    "a b", "a/b", "a,b", "me@chat.example", "chat.example:http", "chat.example:1:2", "::1", "[::1", "[::1]x", "[chat]",
    "[1:2]", "chat.example:123456", "ch\xe4t.example", "a\\b", "<script>", "a?b", "a#b",
])
def test_what_is_no_host_is_an_error(authority):
    with pytest.raises(ValueError):
        host_name(authority)


@pytest.mark.parametrize("name", ["localhost", "chat.localhost", "127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_names_and_addresses_are_admitted(name):
    assert Hosts().admits(name, REACHED)


def test_the_names_of_this_machine_are_admitted(monkeypatch):
    asked = threading.Event()

    def domain_name():
        asked.set()
        return "Panel.Elves.Example"

    monkeypatch.setattr(socket, "gethostname", lambda: "Panel.elves")
    monkeypatch.setattr(socket, "getfqdn", domain_name)
    hosts = Hosts()
    assert asked.wait(5)
    for thread in threading.enumerate():
        if thread.name == "domain name":
            thread.join()
    for name in ("panel.elves", "panel.local", "panel.elves.example"):
        assert hosts.admits(name, REACHED)
    assert not hosts.admits("panel.evil.example", REACHED)


@pytest.mark.parametrize(("name", "reached"), [
    (REACHED, REACHED), (REACHED, f"::ffff:{REACHED}"), ("fe80::1", "fe80::1%eth0"), ("2001:db8::7", "2001:db8::7"),
])
def test_the_address_that_was_reached_is_admitted(name, reached):
    assert Hosts().admits(name, reached)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_so_is_another_address_of_this_machine(family, monkeypatch):
    """As when a port is forwarded to one of its addresses, and the client asks for another."""
    own, others = {socket.AF_INET: ("192.0.2.9", "192.0.2.8"), socket.AF_INET6: ("2001:db8::9", "2001:db8::8")}[family]

    class Socket(socket.socket):
        def bind(self, address):
            if address[0] != own:
                raise OSError
            assert self.family == family

    monkeypatch.setattr(socket, "socket", Socket)
    assert Hosts().admits(own, REACHED)
    assert not Hosts().admits(others, REACHED)


@pytest.mark.parametrize("name", [
    "evil.example", "192.0.2.8", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "128.0.0.1", "",
    "2001:db8::8", "example", "friend.example.evil.example", "sub.friend.example", "0.0.0.0", "::",
])
def test_every_other_name_is_refused(name):
    assert not Hosts(["friend.example"]).admits(name, REACHED)
    assert not Hosts().admits(name, "")


@pytest.mark.parametrize("allowed", ["friend.example", "Friend.Example.", "friend.example:8443"])
def test_a_name_that_the_operator_allows_is_admitted(allowed):
    assert Hosts([allowed]).admits("friend.example", REACHED)


@pytest.mark.parametrize("allowed", ["2001:db8::8", "[2001:DB8::8]", "[2001:db8::8]:8000", "2001:db8:0::8"])
def test_an_address_that_the_operator_allows_may_be_written_in_any_way(allowed):
    assert Hosts([allowed]).admits("2001:db8::8", REACHED)


def test_an_asterisk_admits_every_name():
    assert Hosts(["*"]).admits("evil.example", REACHED)


def test_a_refusal_names_the_host_and_what_to_do():
    hosts = Hosts(advice="Try --name {name}.")
    assert hosts.refusal("a.example") == "This server does not answer to a.example. Try --name a.example."
    assert hosts.refusal("") == "This server does not answer to an empty name. Try --name NAME."
