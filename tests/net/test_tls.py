"""How a side of a connection ends, with TLS and without."""

import socket
import ssl
import threading

import pytest

from tests.certificates import Authority, needs_openssl
from webchat.net.tls import end_writing

PATIENCE = 10


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def tls_pair(pair, tmp_path):
    """Our side, and theirs, to which the end has to be announced."""
    authority = Authority(tmp_path)
    made = authority.sign("DNS:localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)
    ours, theirs = pair
    wrapped = []
    accepting = threading.Thread(target=lambda: wrapped.append(context.wrap_socket(ours, server_side=True)))
    accepting.start()
    client = authority.context.wrap_socket(theirs, server_hostname="localhost", suppress_ragged_eofs=False)
    accepting.join(PATIENCE)
    with client, wrapped[0] as server:
        server.setblocking(False)
        client.settimeout(PATIENCE)
        yield server, client


def test_without_tls_the_peer_sees_the_end_and_can_still_send(pair):
    ours, theirs = pair
    end_writing(ours)
    assert theirs.recv(10) == b""
    theirs.sendall(b"more")
    assert ours.recv(10) == b"more"


@needs_openssl
def test_with_tls_the_end_is_announced_and_the_peer_can_still_send(tls_pair):
    ours, theirs = tls_pair
    ours.send(b"last words")
    end_writing(ours)
    assert (theirs.recv(100), theirs.recv(100)) == (b"last words", b"")
    theirs.sendall(b"more")
    ours.setblocking(True)
    assert ours.recv(10) == b"more"


@needs_openssl
def test_what_the_peer_has_sent_meanwhile_is_no_obstacle(tls_pair):
    ours, theirs = tls_pair
    theirs.sendall(b"unread")
    end_writing(ours)
    assert theirs.recv(100) == b""


@needs_openssl
def test_a_peer_that_has_closed_its_own_side_sees_the_end_too(tls_pair):
    ours, theirs = tls_pair
    with pytest.raises(TimeoutError):
        theirs.settimeout(0.01)
        theirs.unwrap()
    end_writing(ours)
    theirs.settimeout(PATIENCE)
    theirs.unwrap()


def test_a_connection_that_is_lost_is_an_os_error(pair):
    ours, _ = pair
    ours.close()
    with pytest.raises(OSError):
        end_writing(ours)
