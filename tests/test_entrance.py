"""Who comes in, at every door of a whole server: clients behind a proxy of HAProxy's kind, and too many of one address.

The test's own address is a trusted proxy's, so that connections can come from anywhere.
"""

import shutil
import socket
import struct
import subprocess
import time
from contextlib import ExitStack, closing, suppress

import pytest

from tests.program import PATIENCE, Program, free_ports

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

TRUSTING = ("--trusted-proxy", "127.0.0.1", "--max-per-address", "3")

TOO_MANY = b"Too many connections from your address."


def line(client: str) -> bytes:
    return f"PROXY TCP4 {client} 192.0.2.1 4711 80\r\n".encode()


def binary(client: str) -> bytes:
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 80)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses)) + addresses


both_versions = pytest.mark.parametrize("header", [line, binary])


@pytest.fixture(scope="module")
def server():
    with Program(*TRUSTING) as server:
        yield server


@pytest.fixture
def connect(server):
    """Open connections that are closed after the test: `connect(port, bytes)`."""
    with ExitStack() as stack:
        def connect(port: int, data: bytes = b"") -> socket.socket:
            sock = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), PATIENCE)))
            sock.sendall(data)
            return sock
        yield connect


def until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until this has arrived; return everything."""
    received = b""
    while wanted not in received:
        data = sock.recv(65536)
        assert data, received
        received += data
    return received


def rest(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    with suppress(ConnectionResetError):
        while data := sock.recv(65536):
            received += data
    return received


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def doors(server: Program) -> dict[str, tuple[int, bytes, bytes]]:
    """Each door's port, what a client says first, and the beginning of the answer."""
    handshake = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    return {
        "lines": (server.lines_port, b"Hugo\n", b"You are Hugo."),
        "braces": (server.braces_port, b"{REGISTER}Hugo\n", b"{Hugo}Welcome, Hugo!"),
        "page": (server.port, get("/chat/index.html"), b"HTTP/1.1 200"),
        "/ws": (server.port, get("/ws", *handshake), b"HTTP/1.1 101"),
        "Socket.IO over WebSocket": (
            server.port, get("/socket.io/?EIO=4&transport=websocket", *handshake), b"HTTP/1.1 101"),
        "Socket.IO over polling": (server.port, get("/socket.io/?EIO=4&transport=polling"), b"HTTP/1.1 200"),
    }


each_door = pytest.mark.parametrize("door", ["lines", "braces", "page", "/ws", "Socket.IO over WebSocket",
                                             "Socket.IO over polling"])


def wait_until_free(connect, server: Program, client: str) -> None:
    """Sessions of polling clients last until their time is over, so each test has a client of its own."""
    while TOO_MANY in until(connect(server.lines_port, line(client)), b"\n"):
        time.sleep(0)


@each_door
@both_versions
def test_a_proxys_header_is_not_seen_by_any_protocol(server, connect, door, header):
    port, request, answer = doors(server)[door]
    assert answer in until(connect(port, header("203.0.113.1") + request), answer)


@each_door
@both_versions
def test_a_bad_header_closes_the_connection(server, connect, door, header):
    port, request, _ = doors(server)[door]
    bad = header("203.0.113.1").replace(b"TCP4", b"TCP5").replace(b"\x21\x11", b"\x31\x11")
    assert rest(connect(port, bad + request)) == b""


@each_door
def test_the_connections_of_one_client_are_counted_at_all_doors_together(server, connect, door):
    client = "203.0.113.2"
    wait_until_free(connect, server, client)
    port, request, answer = doors(server)[door]
    with ExitStack() as stack:
        for held in (server.lines_port, server.braces_port, server.port):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", held), PATIENCE))).sendall(line(client))
            # A connection that is refused proves that those before it are counted.
        while TOO_MANY not in until(connect(server.lines_port, line(client)), b"\n"):
            pass
        assert TOO_MANY in rest(connect(port, line(client) + request))
        assert answer in until(connect(port, line("203.0.113.3") + request), answer)


def test_polling_sessions_of_one_client_are_counted_though_they_hold_no_connection(server, connect):
    handshake = get("/socket.io/?EIO=4&transport=polling")
    browser = connect(server.port, line("203.0.113.4"))
    for _ in range(3):
        browser.sendall(handshake)
        assert b"200 OK" in until(browser, b'"sid"')
    browser.sendall(handshake)
    assert b"HTTP/1.1 429 " in until(browser, TOO_MANY)
    other = connect(server.port, line("203.0.113.5") + handshake)
    assert b"200 OK" in until(other, b'"sid"')


def test_behind_a_proxy_that_forwards_requests_each_client_is_counted(server, connect):
    def forwarded(client: str) -> bytes:
        return get("/socket.io/?EIO=4&transport=websocket", "Upgrade: websocket", "Connection: Upgrade",
                   "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                   f"X-Forwarded-For: {client}")

    for _ in range(3):
        until(connect(server.port, forwarded("203.0.113.6")), b"HTTP/1.1 101")
    assert rest(connect(server.port, forwarded("203.0.113.6"))).startswith(b"HTTP/1.1 429 ")
    until(connect(server.port, forwarded("203.0.113.7")), b"HTTP/1.1 101")
    # An address that a client claims behind the proxy is not believed.
    until(connect(server.port, line("203.0.113.8") + forwarded("203.0.113.6")), b"HTTP/1.1 101")


def test_requests_that_a_proxy_names_a_client_for_are_not_local(server, connect):
    assert b"HTTP/1.1 403 " in until(connect(server.port, line("203.0.113.9") + get("/metrics")), b"\r\n")
    assert b"HTTP/1.1 200 " in until(connect(server.port, b"PROXY UNKNOWN\r\n" + get("/metrics")), b"\r\n")


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy_itself_clients_come_in_at_every_door_under_their_own_address(server, connect, tmp_path, option):
    ports = free_ports(3)
    doors = zip(ports, (server.lines_port, server.braces_port, server.port), strict=True)
    configuration = tmp_path / "haproxy.cfg"
    # What stands before HAProxy tells it the client's address in the same way.
    configuration.write_text("defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                             + "".join(f"listen door{port}\n bind 127.0.0.1:{port} accept-proxy\n"
                                       f" server webchat 127.0.0.1:{door} {option}\n" for port, door in doors))
    client = line("203.0.113.10" if option == "send-proxy" else "203.0.113.11")
    with subprocess.Popen([HAPROXY, "-db", "-f", configuration], stderr=subprocess.DEVNULL) as proxy:
        try:
            wait_until_listening(ports[-1])
            lines, braces, page = (connect(port, client) for port in ports)
            until(lines, b"Type your name")  # HAProxy sends its header before the client sends anything
            lines.sendall(b"Hugo\n")
            until(lines, b"You are Hugo.")
            braces.sendall(b"{REGISTER}Zoe\n")
            until(braces, b"{Zoe}Welcome, Zoe!")
            page.sendall(get("/metrics"))
            until(page, b"HTTP/1.1 403 ")
            assert TOO_MANY in rest(connect(ports[0], client))
        finally:
            proxy.terminate()


def wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
