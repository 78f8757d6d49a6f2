"""The doors' sockets: all of them, or none, and what errors and announcements call them."""

import errno
import gc
import os
import socket
from contextlib import ExitStack

import pytest

from tests.program import free_ports
from webchat import listeners
from webchat.config import Config, load
from webchat.listeners import CannotStart
from webchat.net import listen


@pytest.fixture
def bound():
    """Binds the page's door on a host, and closes it after the test. Returns its sockets."""
    with ExitStack() as stack:
        def bind(host):
            config = load({"host": host, "port": "0", "lines_port": "0", "braces_port": "0"}, {})
            return [stack.enter_context(sock) for sock in listeners.bind(config, reuse_port=False)["http"]]
        yield bind


@pytest.mark.parametrize(("number", "culprit"), [
    (errno.EADDRINUSE, "port"), (errno.EACCES, "port"), (errno.EADDRNOTAVAIL, "host"),
])
def test_an_error_names_what_the_operator_gave(tmp_path, monkeypatch, number, culprit):
    def bind(*_, **__):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(listen, "bind", bind)
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


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
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
