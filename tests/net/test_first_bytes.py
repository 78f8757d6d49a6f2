"""What a connection passes before its protocol sees a byte: a PROXY header, and TLS or not."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest

from tests.net.arrivals import (
    BINARY,
    CLIENT_HELLO,
    LINE,
    LOCAL,
    NEVER,
    TRUSTED,
    Mirror,
    all_from,
    connect,
    http_server,
    scenario,
    serving,
)
from webchat.net.first_bytes import Times
from webchat.net.tls_records import NO_TLS_HERE

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
async def test_so_it_does_if_it_came_before_the_connection_was_accepted(caplog):
    async with serving(http_server()) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(CLIENT_HELLO)
            assert await asyncio.to_thread(client.recv, 1000) == NO_TLS_HERE
    assert caplog.records == []


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
