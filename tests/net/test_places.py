"""The places of an address at a server: who gets none, and that each is free again, however a connection ends."""

import asyncio
import logging
import socket
import struct
from contextlib import suppress

import pytest
from tornado.tcpserver import TCPServer
from tornado.web import Application

from tests.net.arrivals import (
    BINARY,
    CLIENT_HELLO,
    LINE,
    LOCAL,
    TRUSTED,
    Mirror,
    Page,
    all_from,
    connect,
    http_server,
    limit_of,
    scenario,
    serving,
)
from webchat.net.accept import MAX_REFUSALS, PatientAccept
from webchat.net.addresses import TOO_MANY
from webchat.net.http_server import ForwardedLimit, HTTPServer

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


@pytest.mark.parametrize("rest", [
    b"\r\n", b"Content-Length: 3\r\n\r\nabc", b"Content-Length: 3\r\n\r\n",
    b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3\r\na",
], ids=repr)
@scenario
async def test_so_is_a_request_with_a_body_and_is_logged_in_a_sentence(rest, caplog):
    server = HTTPServer(ForwardedLimit(TRUSTED, Application([])))
    limit = limit_of(1, exempt=TRUSTED.include)
    async with serving(server, connections=limit, proxies=TRUSTED) as port:
        place = limit.take("203.0.113.7")
        answer = await all_from(port, b"POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n" + rest)
        assert answer.startswith(b"HTTP/1.1 429 ") and answer.endswith(f"{TOO_MANY}\n".encode())
        place.release()
    assert [record.getMessage() for record in caplog.records] == [
        "More than 1 connections from 203.0.113.7: the others are refused."]


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
