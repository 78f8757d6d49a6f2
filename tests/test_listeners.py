"""The listening sockets: all of them, or none, on every address that the host stands for."""

import errno
import gc
import os
import socket
from contextlib import ExitStack, closing

import pytest
from tornado.netutil import bind_sockets

from tests.program import PATIENCE, free_ports
from webchat import listeners
from webchat.config import Config, load
from webchat.listeners import CannotStart


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def bound():
    """Binds the page's door on a host, and closes it after the test. Returns its sockets."""
    with ExitStack() as stack:
        def bind(host):
            config = load({"host": host, "port": "0", "lines_port": "0", "braces_port": "0"}, {})
            sockets = listeners.bind(config, reuse_port=False)["http"]
            for sock in sockets:
                stack.enter_context(sock)
            return sockets
        yield bind


def refusal(host: str, **settings) -> str:
    with pytest.raises(CannotStart) as failure:
        listeners.bind(load({"host": host, "lines_port": "0", "braces_port": "0", **settings}, {}), reuse_port=False)
    return str(failure.value)


def without(monkeypatch, family: str, how: int | None) -> None:
    """Be a machine without IPv6 (`":"`) or IPv4 (`"."`): binding fails with an error, or Tornado binds nothing."""
    def bind(port, address, **options):
        if family not in address:
            return bind_sockets(port, address, **options)
        if how is None:
            return []
        raise OSError(how, os.strerror(how))
    monkeypatch.setattr(listeners, "bind_sockets", bind)


NO_FAMILY = pytest.mark.parametrize("how", [None, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])


@needs_ipv6
@pytest.mark.parametrize(("host", "addresses"), [
    ("::", {"0.0.0.0", "::"}), ("[::]", {"0.0.0.0", "::"}), ("", {"0.0.0.0", "::"}),
    ("localhost", {"127.0.0.1", "::1"}), ("LocalHost", {"127.0.0.1", "::1"}),
    ("[::1]", {"::1"}), ("::1", {"::1"}), ("0.0.0.0", {"0.0.0.0"}), ("::ffff:127.0.0.1", {"127.0.0.1"}),
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
def test_without_ipv6_an_address_of_ipv6_is_refused_in_one_sentence(monkeypatch, how, host):
    without(monkeypatch, ":", how)
    assert refusal(host) == (f"Port 8000 on {host} cannot be opened: {os.strerror(how or errno.EAFNOSUPPORT)}; "
                             "choose another with --host.")


@needs_ipv6
def test_any_free_port_is_free_on_all_addresses(bound, monkeypatch):
    taken = []

    def bind(port, address, **options):
        if address == "::1" and len(taken) < 3:
            taken.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind_sockets(port, address, **options)
    monkeypatch.setattr(listeners, "bind_sockets", bind)
    assert len({sock.getsockname()[1] for sock in bound("localhost")}) == 1 and len(taken) == 3


def test_where_no_port_is_free_on_all_addresses_it_ends(monkeypatch):
    def bind(port, address, **options):
        if address == "::1":
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind_sockets(port, address, **options)
    monkeypatch.setattr(listeners, "bind_sockets", bind)
    assert refusal("localhost", port="0").startswith("Port 0 on localhost is in use already")


@needs_ipv6
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_in_use_on_one_of_the_addresses_is_in_use():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = str(taken.getsockname()[1])
        assert refusal("localhost", port=port) == (
            f"Port {port} on localhost is in use already; choose another with --port.")
        socket.create_server(("127.0.0.1", int(port))).close()
        gc.collect()


@pytest.mark.parametrize(("number", "culprit"), [
    (errno.EADDRINUSE, "port"), (errno.EACCES, "port"), (errno.EADDRNOTAVAIL, "host"),
])
def test_an_error_names_what_the_operator_gave(tmp_path, monkeypatch, number, culprit):
    def bind(*_, **__):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(listeners, "bind_sockets", bind)
    (tmp_path / "chat.toml").write_text('host = "127.0.0.2"\nport = 8001\n')
    line = {"host": 1, "port": 2}[culprit]
    for config, where in (
        (load({"host": "127.0.0.2", "port": "8001"}, {}), f"--{culprit}"),
        (load({}, {"WEBCHAT_HOST": "127.0.0.2", "WEBCHAT_PORT": "8001"}), f"WEBCHAT_{culprit.upper()}"),
        (load({}, {}, tmp_path / "chat.toml"), f"{culprit} in {tmp_path / 'chat.toml'} (line {line})"),
    ):
        with pytest.raises(CannotStart) as failure:
            listeners.bind(config, reuse_port=False)
        assert str(failure.value).startswith("Port 8001 on 127.0.0.2 ")
        assert str(failure.value).endswith(f"; choose another with {where}.")


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=needs_ipv6), ""])
def test_a_door_on_every_address_is_announced_with_one_that_can_be_typed(bound, host):
    for sock in bound(host):
        line = listeners.describe("lines", sock, tls=False)
        address = line.rpartition("//")[2].rpartition(":")[0].strip("[]")
        assert address not in ("0.0.0.0", "::")
        socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()


def test_without_a_network_a_door_on_every_address_is_announced_on_loopback(bound, monkeypatch):
    sock, *_ = bound("0.0.0.0")
    monkeypatch.setattr(listeners, "ELSEWHERE", {socket.AF_INET: "255.255.255.255"})  # not allowed without a flag
    assert f"tcp://127.0.0.1:{sock.getsockname()[1]}" in listeners.describe("lines", sock, tls=False)


# Tornado leaves the socket that it could not bind to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
def test_if_one_port_is_in_use_the_others_are_free_again():
    port, lines_port = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(port=port, lines_port=lines_port, braces_port=taken.getsockname()[1])
        with pytest.raises(CannotStart) as failure:
            listeners.bind(config, reuse_port=False)
    for number in (port, lines_port):
        socket.create_server(("127.0.0.1", number)).close()
    assert "--braces-port" in str(failure.value)  # while the failure, and what it refers to, still exists
    del failure
    gc.collect()
