"""Each case of `tests.net.rfc6455` against a mounted application, and against the chat's `/ws`, over real sockets."""

import asyncio
import json
import socket

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.chat.fakes import immediately
from tests.frames import BINARY, CLOSE, PONG, TEXT
from tests.net.rfc6455 import GOODBYE, Case, cases
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.hub import Hub
from webchat.codecs.json_events import MAX_REQUEST
from webchat.gateways.websocket import WebSocketDoor
from webchat.net.asgi import mount
from webchat.net.frames import Ping
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies

ECHO_LIMIT = 1 << 18
TIMEOUT = 10

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Target:
    """A server with the Tornado rules that `rules()` makes, on an event loop that all cases share."""

    def __init__(self, rules):
        self._runner = asyncio.Runner()
        self._runner.run(self._start(rules))

    async def _start(self, rules):
        self._server = HTTPServer(Application(rules()))
        listener, self._port = bind_unused_port()
        self._server.add_sockets([listener])

    def close(self):
        self._runner.run(self._stop())
        self._runner.close()

    async def _stop(self):
        self._server.stop()
        await self._server.close_all_connections()

    def play(self, segments):
        """Send these segments on a new connection; return the frames that come back until the server closes."""
        return self._runner.run(asyncio.wait_for(self._play(segments), TIMEOUT))

    async def _play(self, segments):
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(client, ("127.0.0.1", self._port))
            await loop.sock_sendall(client, HANDSHAKE)
            data = b""
            while b"\r\n\r\n" not in data:
                data += await loop.sock_recv(client, 4096)
            head, _, data = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            sending = loop.create_task(send(client, segments))
            data += await read_all(client)
            await sending
        return list(parsed(data))


async def send(client, segments):
    loop = asyncio.get_running_loop()
    try:
        for segment in segments:
            await loop.sock_sendall(client, segment)
            for _ in range(4):  # the server, on the same event loop, gets the chance to read this segment by itself
                await asyncio.sleep(0)
    except ConnectionError:
        pass  # the server has closed before all was sent


async def read_all(client):
    loop = asyncio.get_running_loop()
    received = bytearray()
    try:
        while data := await loop.sock_recv(client, 1 << 16):
            received += data
    except ConnectionResetError:
        pass  # the server closed over bytes that it had no reason to read
    return bytes(received)


def parsed(data):
    """The frames of a server, as (opcode, payload): final, not masked, with the shortest form of the length."""
    while data:
        first, size, start = data[0], data[1], 2
        assert first & 0xF0 == 0x80, "final, and no reserved bits"
        assert size <= 127, "not masked"
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start])
            assert size > (125 if start == 4 else 65_535), "the shortest length"
        assert len(data) >= start + size, "whole"
        yield first & 0x0F, data[start:start + size]
        data = data[start + size:]


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def chat_rules():
    hub = Hub(demo_accounts(run=immediately), LocalBackplane(), asyncio.get_running_loop())
    return WebSocketDoor(hub, Outbox(), Origins(), Proxies()).routes()


@pytest.fixture(scope="module")
def mounted():
    target = Target(lambda: mount("/ws", echo, max_message_size=ECHO_LIMIT))
    yield target
    target.close()


@pytest.fixture(scope="module")
def chat():
    target = Target(chat_rules)
    yield target
    target.close()


def echoed(message):
    if isinstance(message, Ping):
        return PONG, message.payload
    return (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)


def check(target: Target, case: Case, seen, answer):
    """Play a case. `seen(opcode, payload)` is compared with `answer(message)` for each message that was received."""
    segments, code = case.sent, case.close
    if code is None:
        segments, code = (*segments, GOODBYE), 1000
    *answers, (opcode, payload) = target.play(segments)
    assert [seen(*frame) for frame in answers] == [answer(message) for message in case.received]
    assert opcode == CLOSE
    assert len(payload) <= 125
    payload[2:].decode()
    assert payload[:2] == (b"" if code == 1005 else code.to_bytes(2))


@pytest.mark.parametrize("case", cases(ECHO_LIMIT), ids=str)
def test_an_application_gets_what_was_sent_and_the_client_what_it_answers(mounted, case):
    check(mounted, case, lambda *frame: frame, echoed)


def error_code(opcode, payload):
    if opcode != TEXT:
        return opcode, payload
    answer = json.loads(payload)
    return answer["type"], answer["code"]


@pytest.mark.parametrize("case", cases(MAX_REQUEST), ids=str)
def test_the_chat_answers_each_message_that_is_no_request_with_one_error(chat, case):
    check(chat, case, error_code,
          lambda message: echoed(message) if isinstance(message, Ping) else ("error", "bad-message"))
