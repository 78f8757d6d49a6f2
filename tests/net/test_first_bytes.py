"""What a connection passes before its protocol sees a byte: the PROXY header, TLS or not, the limit of its address."""

import asyncio
import logging
import shutil
import socket
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

import pytest
from tornado.iostream import StreamClosedError
from tornado.tcpserver import TCPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from webchat.net.accept import MAX_REFUSALS, PatientAccept
from webchat.net.addresses import TOO_MANY, AddressLimit
from webchat.net.entrance import Entrance
from webchat.net.first_bytes import NO_TLS_HERE, Times
from webchat.net.http_server import ForwardedLimit, HTTPServer
from webchat.net.proxies import Proxies

PATIENCE = 10
"""Seconds after which something that should happen at once has failed."""

NEVER = 3600.0
"""Seconds; longer than any test."""

PATIENT = Times(NEVER, NEVER, NEVER, NEVER, NEVER)

TRUSTED = Proxies([ip_network("127.0.0.1")])

CLIENT_HELLO = bytes.fromhex("16 0301 0005 01 000001 00")

LINE = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n"
BINARY = bytes.fromhex("0D0A0D0A000D0A515549540A 21 11 000C CB007107 C0000201 1267 1B5F")
LOCAL = bytes.fromhex("0D0A0D0A000D0A515549540A 20 00 0000")


def limit_of(most, exempt=lambda address: False):
    """A limit that counts this machine, too."""
    return AddressLimit(most, exempt)


class Mirror(PatientAccept, TCPServer):
    """Greets each connection with its address, and sends back what it receives."""

    async def handle_stream(self, stream, address):
        with suppress(StreamClosedError):
            await stream.write(f"{address[0]} {address[1]}\n".encode())
            while True:
                await stream.write(await stream.read_bytes(1000, partial=True))


class Page(RequestHandler):
    """Answers with the address of the peer, or waits for ever."""

    async def get(self):
        if self.request.path == "/wait":
            await asyncio.Event().wait()
        self.finish(f"{self.request.remote_ip} {self.request.protocol}")


def http_server(router=None, **options):
    return HTTPServer(router or Application([("/.*", Page)], log_function=lambda handler: None), **options)


@asynccontextmanager
async def serving(server, **entrance):
    """A server behind an entrance: its port. Afterwards no address may have a place."""
    entrance = Entrance(**{"times": PATIENT, **entrance})
    sock, port = bind_unused_port()
    server.add_sockets([sock], entrance)
    async with asyncio.timeout(PATIENCE):
        try:
            yield port
        finally:
            server.stop()
            if isinstance(server, HTTPServer):
                await server.close_all_connections()
        while len(entrance.connections):
            await asyncio.sleep(0)


async def connect(port, data=b"", address="127.0.0.1"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    writer.write(data)
    return reader, writer


async def all_from(port, data=b"", address="127.0.0.1"):
    """Everything that the server sends to somebody who says this, and then nothing."""
    reader, writer = await connect(port, data, address)
    try:
        return await reader.read()
    finally:
        writer.close()


def scenario(test):
    """Run a test on an event loop of its own."""
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))
    run.__name__, run.__wrapped__ = test.__name__, test
    return run


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The server's side and the client's side of TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True,
                   capture_output=True)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cafile=cert)
    return server, client


# The PROXY header of a trusted proxy.


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_a_trusted_proxy_names_the_client_and_the_protocol_sees_what_follows(header):
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, header + b"Hugo\n")
        assert await reader.readline() == b"203.0.113.7 4711\n"
        assert await reader.readline() == b"Hugo\n"
        writer.write(LINE)  # a second one is text
        assert await reader.readline() == LINE
        writer.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_a_header_may_come_in_any_segments(header):
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port)
        for size in range(len(header)):
            writer.write(header[size:size + 1])
            for _ in range(5):
                await asyncio.sleep(0)
        assert await reader.readline() == b"203.0.113.7 4711\n"
        writer.close()


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", LOCAL])
@scenario
async def test_a_proxy_that_names_nobody_keeps_its_own_address(header):
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, header + b"Hugo\n")
        assert (await reader.readline()).startswith(b"127.0.0.1 ")
        assert await reader.readline() == b"Hugo\n"
        writer.close()


@pytest.mark.parametrize("data", [b"Hugo\n", b"{REGISTER}Hugo", b"PROXYHugo\n", b"\r\nHugo\n"])
@scenario
async def test_a_trusted_peer_may_send_no_header(data):
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, data)
        assert (await reader.readline()).startswith(b"127.0.0.1 ")
        assert await reader.readexactly(len(data)) == data
        writer.close()


@scenario
async def test_a_trusted_peer_that_waits_for_the_greeting_gets_it_and_a_late_header_is_text():
    async with serving(Mirror(), proxies=TRUSTED, times=Times(header_start=0)) as port:
        reader, writer = await connect(port)
        assert (await reader.readline()).startswith(b"127.0.0.1 ")
        writer.write(LINE)
        assert await reader.readline() == LINE
        writer.close()


@pytest.mark.parametrize("data", [b"P", b"PROX", b"\r\n\r\n"])
@scenario
async def test_what_could_have_been_a_header_is_text_when_its_time_is_over(data):
    async with serving(Mirror(), proxies=TRUSTED, times=Times(header_start=NEVER, header_end=0)) as port:
        reader, writer = await connect(port, data)
        assert (await reader.readline()).startswith(b"127.0.0.1 ")
        assert await reader.readexactly(len(data)) == data
        writer.close()


@pytest.mark.parametrize("data", [LINE[:-1], b"PROXY ", BINARY[:-1], BINARY[:12]])
@scenario
async def test_a_header_that_is_not_complete_in_time_or_before_the_end_closes_the_connection(data):
    async with serving(Mirror(), proxies=TRUSTED, times=Times(header_start=NEVER, header_end=0)) as port:
        with suppress(ConnectionResetError):
            assert await all_from(port, data) == b""
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, data)
        writer.write_eof()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("data", [b"PROXY hello\r\n", b"PROXY TCP4 203.0.113.7\r\n", BINARY[:12] + b"\x11\x11\0\0"])
@scenario
async def test_a_bad_header_closes_the_connection(data):
    for server in (Mirror(), http_server()):
        async with serving(server, proxies=TRUSTED) as port:
            with suppress(ConnectionResetError):
                assert await all_from(port, data) == b""


@scenario
async def test_a_peer_that_is_not_trusted_names_nobody():
    async with serving(Mirror(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, LINE, "127.0.0.2")
        assert (await reader.readline()).startswith(b"127.0.0.2 ")
        assert await reader.readline() == LINE
        writer.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_over_http_a_header_names_the_peer_of_every_request_of_the_connection(header):
    async with serving(http_server(), proxies=TRUSTED) as port:
        reader, writer = await connect(port, header)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
            assert b"203.0.113.7 http" in await reader.readuntil(b"203.0.113.7 http")
        writer.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_over_http_a_header_of_a_peer_that_is_not_trusted_is_refused(header):
    async with serving(http_server(), proxies=TRUSTED) as port:
        answer = await all_from(port, header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.2")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"200 OK" not in answer


# TLS, and none.


@scenario
async def test_a_tls_handshake_without_tls_gets_an_alert_at_once():
    async with serving(http_server(), proxies=TRUSTED) as port:
        for address in ("127.0.0.1", "127.0.0.2"):
            assert await all_from(port, CLIENT_HELLO, address) == NO_TLS_HERE


@scenario
async def test_a_real_tls_client_is_told_at_once_that_there_is_no_tls():
    async with serving(http_server()) as port:
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())


@scenario
async def test_requests_that_only_contain_the_byte_of_a_handshake_are_served():
    async with serving(http_server()) as port:
        reader, writer = await connect(port, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        writer.write(CLIENT_HELLO[:2])
        assert b"200 OK" in await reader.readline()
        writer.close()


@scenario
async def test_with_tls_the_protocol_sees_what_was_sent(tls):
    async with serving(Mirror(ssl_options=tls[0])) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls[1], server_hostname="localhost")
        assert (await reader.readline()).startswith(b"127.0.0.1 ")
        writer.write(b"Hugo\n")
        assert await reader.readline() == b"Hugo\n"
        writer.close()
    async with serving(http_server(ssl_options=tls[0])) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls[1], server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"127.0.0.1 https")
        writer.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_a_proxy_header_comes_before_the_handshake(tls, header):
    async with serving(Mirror(ssl_options=tls[0]), proxies=TRUSTED) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(header)
        reader, writer = await asyncio.open_connection(sock=sock, ssl=tls[1], server_hostname="localhost")
        assert await reader.readline() == b"203.0.113.7 4711\n"
        writer.close()


@pytest.mark.parametrize(("request_line", "host", "location"), [
    ("GET /chat/?a=%20b&c HTTP/1.1", "chat.example", "https://chat.example/chat/?a=%20b&c"),
    ("GET / HTTP/1.1", "chat.example:8000", "https://chat.example:8000/"),
    ("GET / HTTP/1.0", "[2001:db8::1]:8000", "https://[2001:db8::1]:8000/"),
    ("POST /socket.io/ HTTP/1.1", "127.0.0.1:8000", "https://127.0.0.1:8000/socket.io/"),
    ("GET //evil.example HTTP/1.1", "chat.example", "https://chat.example//evil.example"),
])
@scenario
async def test_a_plain_request_where_tls_is_expected_is_redirected(tls, request_line, host, location):
    async with serving(http_server(ssl_options=tls[0])) as port:
        request = f"{request_line}\r\nAccept: */*\r\nhOST: {host}\r\nX: y\r\n\r\n"
        answer = (await all_from(port, request.encode())).decode()
        assert answer.startswith("HTTP/1.1 308 ")
        assert f"\r\nLocation: {location}\r\n" in answer


@pytest.mark.parametrize("request_head", [
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a@evil.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rSet-Cookie: b\r\n\r\n",
    "GET /\rSet-Cookie:b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nX: y\r\n\r\nHost: body\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "Hugo\r\n\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 1\r\nGET / HTTP/1.1\r\n\r\n",
])
@scenario
async def test_a_plain_request_that_cannot_be_redirected_gets_a_sentence(tls, request_head):
    async with serving(http_server(ssl_options=tls[0])) as port:
        answer = (await all_from(port, request_head.encode())).decode()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 400 ") and "ocation" not in head
        assert body == "This port expects HTTPS.\n"


@scenario
async def test_half_a_request_gets_its_sentence_when_its_time_is_over_and_silence_gets_none(tls):
    times = Times(handshake_start=NEVER, head_end=0, goodbye=NEVER)
    async with serving(http_server(ssl_options=tls[0]), times=times) as port:
        assert b"400" in await all_from(port, b"GET / HTTP/1.1\r\n")
    async with serving(http_server(ssl_options=tls[0])) as port:
        reader, writer = await connect(port, b"GET / HTTP/1.1\r\n")
        writer.write_eof()
        assert b"400" in await reader.read()
        writer.close()
    async with serving(http_server(ssl_options=tls[0]), times=Times(handshake_start=0, head_end=0)) as port:
        assert await all_from(port) == b""


@scenario
async def test_a_plain_line_where_tls_is_expected_gets_a_sentence_and_so_does_silence_in_time(tls):
    async with serving(Mirror(ssl_options=tls[0])) as port:
        assert await all_from(port, b"Hugo\n") == b"This port expects TLS.\n"
        assert await all_from(port, LINE) == b"This port expects TLS.\n"
    async with serving(Mirror(ssl_options=tls[0]), times=Times(handshake_start=0)) as port:
        assert await all_from(port) == b"This port expects TLS.\n"


# The limit of an address.


@pytest.mark.parametrize(("server", "refusal"), [(Mirror, TOO_MANY.encode()), (http_server, b"HTTP/1.1 429 ")])
@scenario
async def test_an_address_with_too_many_connections_is_told_so_and_others_get_in(server, refusal):
    limit = limit_of(2)
    async with serving(server(), connections=limit) as port:
        mine = [await connect(port) for _ in range(2)]
        answer = await all_from(port)
        assert answer.startswith(refusal) and TOO_MANY.encode() in answer
        others = [await connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.2") for _ in range(2)]
        for reader, _ in others:
            assert b"127.0.0.2 " in await reader.readuntil(b"127.0.0.2 ")
        mine.pop()[1].close()
        while len(limit) > 3:
            await asyncio.sleep(0)
        mine.append(await connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        assert b"127.0.0.1 " in await mine[-1][0].readuntil(b"127.0.0.1 ")
        for _, writer in [*mine, *others]:
            writer.close()


@scenario
async def test_the_last_words_arrive_even_if_the_peer_goes_on_sending():
    async with serving(Mirror(), connections=limit_of(1)) as port:
        first = await connect(port)
        await first[0].readline()
        reader, writer = await connect(port, b"x" * 100_000)
        assert await reader.readline() == f"{TOO_MANY}\n".encode()
        writer.write(b"x" * 100_000)
        await writer.drain()
        for _, each in (first, (reader, writer)):
            each.close()


@scenario
async def test_with_tls_one_too_many_is_closed_without_words_that_nobody_could_read(tls):
    async with serving(Mirror(ssl_options=tls[0]), connections=limit_of(1)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls[1], server_hostname="localhost")
        await reader.readline()
        assert await all_from(port) == b""
        writer.close()


@scenario
async def test_silent_connections_count_from_accept_on(tls):
    for server in (Mirror(ssl_options=tls[0]), http_server(), http_server(ssl_options=tls[0])):
        limit = limit_of(3)
        async with serving(server, connections=limit) as port:
            silent = [await connect(port) for _ in range(3)]
            await all_from(port)
            assert len(limit) == 3
            for _, writer in silent:
                writer.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@scenario
async def test_the_client_that_a_proxy_names_is_counted_and_the_proxy_is_not(header):
    limit = limit_of(2, exempt=TRUSTED.include)
    async with serving(Mirror(), connections=limit, proxies=TRUSTED) as port:
        clients = [await connect(port, header) for _ in range(2)]
        for reader, _ in clients:
            await reader.readline()
        assert await all_from(port, header) == f"{TOO_MANY}\n".encode()
        proxys = [await connect(port, LOCAL) for _ in range(3)]
        for reader, _ in proxys:
            assert (await reader.readline()).startswith(b"127.0.0.1 ")
        assert len(limit) == 2
        for _, writer in [*clients, *proxys]:
            writer.close()


@scenario
async def test_over_http_the_client_that_a_proxy_forwards_is_counted_for_its_last_request():
    limit = limit_of(2, exempt=TRUSTED.include)
    application = Application([("/.*", Page)], log_function=lambda handler: None)
    server = HTTPServer(ForwardedLimit(TRUSTED, application))

    def request(client, path="/"):
        return f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n".encode()

    async with serving(server, connections=limit, proxies=TRUSTED) as port:
        waiting = [await connect(port, request("203.0.113.7", "/wait")) for _ in range(2)]
        while len(limit) < 2:
            await asyncio.sleep(0)
        answer = await all_from(port, request("203.0.113.7"))
        assert answer.startswith(b"HTTP/1.1 429 ") and answer.endswith(f"{TOO_MANY}\n".encode())
        reader, writer = await connect(port)
        for client in ("203.0.113.8", "203.0.113.9", "2001:db8::7"):
            writer.write(request(client))
            assert b"127.0.0.1 http" in await reader.readuntil(b"127.0.0.1 http")
            assert len(limit) == 3
        for _, each in [*waiting, (reader, writer)]:
            each.close()


@scenario
async def test_of_a_flood_of_refused_connections_only_some_are_told_why():
    async with serving(Mirror(), connections=limit_of(1)) as port:
        first = await connect(port)
        await first[0].readline()
        refused = [await connect(port) for _ in range(MAX_REFUSALS + 5)]
        told = [await reader.read() for reader, _ in refused]
        assert told == [f"{TOO_MANY}\n".encode()] * MAX_REFUSALS + [b""] * 5
        for _, writer in [first, *refused]:
            writer.close()


# Whatever happens to a connection, its place is free afterwards: `serving` waits for that.


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Failing(PatientAccept, TCPServer):
    """Fails at once, or while it serves a connection."""

    def __init__(self, at_once):
        super().__init__()
        self.at_once = at_once

    def handle_stream(self, stream, address):
        if self.at_once:
            raise RuntimeError("a bug at once")
        return self.fail(stream)

    async def fail(self, stream):
        await stream.read_bytes(1)
        raise RuntimeError("a bug")


@scenario
async def test_a_connection_that_is_lost_before_it_becomes_a_stream_is_forgotten():
    def lost(connection, **options):
        raise OSError

    server = Mirror()
    server.stream = lost
    async with serving(server, connections=limit_of(9)) as port:
        with suppress(ConnectionResetError):
            assert await all_from(port, b"x") == b""


@pytest.mark.parametrize("at_once", [True, False])
@scenario
async def test_a_bug_in_a_protocol_closes_the_connection_and_is_logged_once(at_once, caplog):
    async with serving(Failing(at_once), connections=limit_of(9)) as port:
        assert await all_from(port, b"x") == b""
    assert [(record.levelname, record.exc_info[0]) for record in caplog.records] == [("ERROR", RuntimeError)]


@pytest.mark.parametrize("data", [b"", LINE, LINE[:9], b"GET / HTTP/1.1\r\n", CLIENT_HELLO, b"\x16", b"nonsense\n",
                                  b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"], ids=repr)
@pytest.mark.parametrize("end", [lambda writer: writer.close(), reset, lambda writer: None],
                         ids=["close", "reset", "stay"])
@scenario
async def test_no_place_is_left_behind_however_a_connection_ends(tls, data, end, caplog):
    caplog.set_level(logging.CRITICAL, "tornado")
    for with_tls in ({}, {"ssl_options": tls[0]}):
        for server in (Mirror(**with_tls), http_server(**with_tls)):
            streams = []
            async with serving(server, connections=limit_of(99), proxies=TRUSTED) as port:
                for address in ("127.0.0.1", "127.0.0.2"):
                    streams.append(await connect(port, data, address))
                    await asyncio.sleep(0)
                for _, writer in streams:
                    end(writer)
                if isinstance(server, Mirror):
                    for _, writer in streams:
                        writer.close()
            for _, writer in streams:
                writer.close()


@scenario
async def test_stopping_drops_those_whom_no_protocol_has_seen_and_keeps_the_others():
    server = Mirror()
    async with serving(server, proxies=TRUSTED, connections=limit_of(9)) as port:
        known = await connect(port, address="127.0.0.2")
        await known[0].readline()
        arriving = await connect(port)
        await asyncio.sleep(0)
        while len(server.entrance.connections) < 2:
            await asyncio.sleep(0)
        server.stop()
        assert await arriving[0].read() == b""
        known[1].write(b"still here\n")
        assert await known[0].readline() == b"still here\n"
        for _, writer in (known, arriving):
            writer.close()
