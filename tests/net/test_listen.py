"""Listening sockets: the addresses that a host stands for, and what a machine without one of the families does."""

import errno
import gc
import os
import socket
from contextlib import ExitStack, closing

import pytest
from tornado.netutil import bind_sockets

from tests.program import PATIENCE
from webchat.net import listen


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def bound():
    """Binds any free port on a host, and closes it after the test. Returns the sockets."""
    with ExitStack() as stack:
        yield lambda host: [stack.enter_context(sock) for sock in listen.bind(0, host)]


def without(monkeypatch, family: str, how: int | None) -> None:
    """Be a machine without IPv6 (`":"`) or IPv4 (`"."`): binding fails with an error, or Tornado binds nothing."""
    def bind(port, address, **options):
        if family not in address:
            return bind_sockets(port, address, **options)
        if how is None:
            return []
        raise OSError(how, os.strerror(how))
    monkeypatch.setattr(listen, "bind_sockets", bind)


NO_FAMILY = pytest.mark.parametrize("how", [None, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])


@needs_ipv6
@pytest.mark.parametrize(("host", "addresses"), [
    ("::", {"0.0.0.0", "::"}), ("", {"0.0.0.0", "::"}),
    ("localhost", {"127.0.0.1", "::1"}), ("LocalHost", {"127.0.0.1", "::1"}),
    ("::1", {"::1"}), ("0.0.0.0", {"0.0.0.0"}), ("127.0.0.1", {"127.0.0.1"}),
])
def test_a_host_stands_for_these_addresses_on_one_port(bound, host, addresses):
    names = [sock.getsockname() for sock in bound(host)]
    assert {name[0] for name in names} == addresses and len(names) == len(addresses)
    assert len({name[1] for name in names}) == 1


@needs_ipv6
def test_on_every_address_a_peer_has_the_address_that_it_connects_from(bound):
    sockets = bound("::")
    port = sockets[0].getsockname()[1]
    for loopback in ("127.0.0.1", "::1"):
        with closing(socket.create_connection((loopback, port), PATIENCE)) as peer:
            family = peer.family
            listener, = [sock for sock in sockets if sock.family == family]
            listener.settimeout(PATIENCE)
            connection, address = listener.accept()
            connection.close()
            assert address[0] == loopback


@NO_FAMILY
@pytest.mark.parametrize(("host", "address"), [("", "0.0.0.0"), ("localhost", "127.0.0.1")])
def test_without_ipv6_what_there_is_is_used(bound, monkeypatch, how, host, address):
    without(monkeypatch, ":", how)
    assert [sock.getsockname()[0] for sock in bound(host)] == [address]


@needs_ipv6
@NO_FAMILY
def test_without_ipv4_every_address_is_every_one_of_ipv6(bound, monkeypatch, how):
    without(monkeypatch, ".", how)
    assert [sock.getsockname()[0] for sock in bound("::")] == ["::"]


@NO_FAMILY
@pytest.mark.parametrize("host", ["::", "::1"])
def test_without_ipv6_an_address_of_ipv6_is_an_error(monkeypatch, how, host):
    without(monkeypatch, ":", how)
    with pytest.raises(OSError) as error:
        listen.bind(0, host)
    assert error.value.errno == (how or errno.EAFNOSUPPORT)


@needs_ipv6
def test_any_free_port_is_free_on_all_addresses(bound, monkeypatch):
    taken = []

    def bind(port, address, **options):
        if address == "::1" and len(taken) < 3:
            taken.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind_sockets(port, address, **options)
    monkeypatch.setattr(listen, "bind_sockets", bind)
    assert len({sock.getsockname()[1] for sock in bound("localhost")}) == 1 and len(taken) == 3


def test_where_no_port_is_free_on_all_addresses_it_is_an_error(monkeypatch):
    without(monkeypatch, ":", errno.EADDRINUSE)
    with pytest.raises(OSError, match="Address already in use"):
        listen.bind(0, "localhost")


@needs_ipv6
# Tornado leaves the socket that it could not bind to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_in_use_on_one_of_the_addresses_is_open_on_none():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use"):
            listen.bind(port, "localhost")
        socket.create_server(("127.0.0.1", port)).close()
    gc.collect()
