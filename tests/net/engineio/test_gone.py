"""The Engine.IO server and clients that go away in the middle of a request: nothing of them is left, nothing raised."""

import asyncio

import pytest

from webchat.net.asgi import Disconnected
from webchat.net.asgi.websocket import EXTENSION
from webchat.net.engineio import AsyncServer


def scope(kind="http", method="GET", **query):
    query = {"EIO": "4", "transport": "polling" if kind == "http" else "websocket", **query}
    return {
        "type": kind, "method": method, "path": "/engine.io/", "headers": [], "client": ("127.0.0.1", 1),
        "query_string": "&".join(f"{key}={value}" for key, value in query.items()).encode(),
        "extensions": {EXTENSION: object()},
    }


async def gone(message):
    raise Disconnected("the client is gone")


async def request():
    return {"type": "http.request", "body": b"", "more_body": False}


async def broken_off():
    return {"type": "http.disconnect"}


async def quiet(message):
    pass


@pytest.fixture
def server():
    server = AsyncServer()
    server.reasons = []
    server.on("disconnect", lambda sid, reason: server.reasons.append(reason))
    return server


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_client_that_does_not_wait_for_its_handshake(server, kind):
    asyncio.run(server.handle_request(scope(kind), request, gone))
    assert (server.sockets, server.reasons) == ({}, ["transport close"])


def test_a_client_that_takes_no_answer_to_its_poll_has_lost_packets_and_is_disconnected(server):
    async def run():
        await server.handle_request(scope(), request, quiet)
        (sid,) = server.sockets
        await server.send(sid, "lost")
        await server.handle_request(scope(sid=sid), request, gone)

    asyncio.run(run())
    assert (server.sockets, server.reasons) == ({}, ["transport error"])


def test_a_client_that_breaks_off_its_post_keeps_its_session(server):
    async def run():
        await server.handle_request(scope(), request, quiet)
        (sid,) = server.sockets
        await server.handle_request(scope(method="POST", sid=sid), broken_off, quiet)
        assert list(server.sockets) == [sid]
        await server.disconnect()

    asyncio.run(run())
    assert server.reasons == ["server disconnect"]


def test_packets_to_a_session_that_is_gone_are_dropped(server):
    asyncio.run(server.send("nobody", "text"))
