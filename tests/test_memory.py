"""Nothing that was received outlives its handling, and nothing of a connection outlives its end.

The server runs with a thread beside it that searches its memory (`tests.observed`).
"""

import http.client
import json
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import count

import pytest
from websocket import create_connection

from tests.program import PATIENCE, Program

NUMBERS = count(1)


class Observed(Program):
    """A server whose memory can be searched."""

    def __init__(self) -> None:
        super().__init__("--message-rate", "0", module="tests.observed")

    def ask(self, question: str):
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def finds(self, *words: str) -> list[str]:
        """Where in the server's memory these words are."""
        return [found for found in self.ask("words") if found.split()[0] in words]

    def keeps(self, *words: str) -> list[str]:
        """Where these words stay, though the server has had the time to end what it was doing when it answered."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.finds(*words)) and time.monotonic() < deadline:
            pass
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Observed]:
    with Observed() as server:
        yield server


def name() -> str:
    return f"guest {next(NUMBERS)}"


def canary() -> str:
    """A word that is in no other text."""
    return f"canary{next(NUMBERS)}"


class Client(ABC):
    """A client of one door. `send` sends raw input; `settle` returns when the server has handled all that was sent."""

    @abstractmethod
    def send(self, text: str) -> None: ...

    @abstractmethod
    def settle(self) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Leave as the protocol says."""

    def lose(self) -> None:
        """End the connection with a reset."""
        with suppress(OSError):  # closed already
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()


class Lines(Client):
    greeting = "NAME"

    def __init__(self, server: Program):
        self.socket = socket.create_connection(("127.0.0.1", self.port(server)), PATIENCE)

    def port(self, server: Program) -> int:
        return server.lines_port

    def send(self, text: str) -> None:
        self.socket.sendall(f"{text}\n".encode())

    def settle(self) -> None:
        command = f"/settle{next(NUMBERS)}"
        self.send(command)
        self.hear(command)

    def hear(self, text: str) -> None:
        heard = b""
        while text.encode() not in heard:
            data = self.socket.recv(65536)
            assert data, f"{text} was not heard, only {heard!r}"
            heard += data

    def close(self) -> None:
        self.socket.close()


class Braces(Lines):
    greeting = "{REGISTER}NAME"

    def port(self, server: Program) -> int:
        return server.braces_port

    def settle(self) -> None:
        wanted = name()
        self.send(f"{{REGISTER}}{wanted}")
        self.hear(f"{{{wanted}}}Welcome")


class WebSocket(Client):
    path = "/ws"
    greeting = '{"type": "login", "username": "NAME"}'

    def __init__(self, server: Program):
        self.websocket = create_connection(f"ws://127.0.0.1:{server.port}{self.path}", timeout=PATIENCE)
        self.socket = self.websocket.sock

    def send(self, text: str) -> None:
        self.websocket.send(text)

    def settle(self) -> None:
        ref = f"settle {next(NUMBERS)}"
        self.send(json.dumps({"type": "part", "room": "", "ref": ref}))
        self.hear(ref)

    def hear(self, text: str) -> None:
        while text not in str(received := self.websocket.recv()):
            assert received, f"{text} was not heard"

    def close(self) -> None:
        self.websocket.close()


class SocketIO(WebSocket):
    path = "/socket.io/?EIO=4&transport=websocket"
    greeting = '40{"username": "NAME"}'

    def settle(self) -> None:
        number = next(NUMBERS)
        self.send(f'42{number}["part",{{"room": ""}}]')
        self.hear(f"43{number}[")

    def close(self) -> None:
        self.send("41")
        self.websocket.close()


class Polling(Client):
    """Socket.IO over long-polling: each POST is answered when its packets have been handled."""

    greeting = SocketIO.greeting
    path = "/socket.io/?EIO=4&transport=polling"

    def __init__(self, server: Program):
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.path = f"{Polling.path}&sid={json.loads(self.request('GET')[1:])['sid']}"
        self.socket = self.http.sock

    def request(self, method: str, body: str | None = None) -> bytes:
        self.http.request(method, self.path, body)
        return self.http.getresponse().read()

    def send(self, text: str) -> None:
        self.request("POST", text)

    def settle(self) -> None:
        number = next(NUMBERS)
        self.send(f'42{number}["part",{{"room": ""}}]')
        while f"43{number}[".encode() not in self.request("GET"):
            pass

    def close(self) -> None:
        self.send("1")
        self.http.close()


LINES = ["WORD", "Bob: WORD", "/msg Sandy WORD", "/msg WORD hello", "/login admin WORD", "/login WORD secret", "/WORD",
         "/join WORD", "/nick WORD|", "/me WORD", "/msg \"WORD"]
BRACES = ["{ALL}WORD", "{Sandy}WORD", "{WORD}hello", "WORD", "{REGISTER}admin|WORD", "{REGISTER}WORD|secret",
          "{REGISTER}WORD:", "{CLIENTS}WORD"]
REQUESTS = [
    ("message", {"message": "WORD"}), ("message", {"message": "x", "room": "WORD"}), ("message", {"WORD": "x"}),
    ("message", {"message": ["WORD"]}), ("privmsg", {"to_user": "Sandy", "message": "WORD"}),
    ("privmsg", {"to_user": "WORD", "message": "x"}), ("join", {"room": "WORD"}), ("typing", {"to_user": "WORD"}),
    ("WORD", {}),
]
LOGINS = [{"username": "admin", "password": "WORD"}, {"username": "WORD", "password": "secret"}, {"username": "WORD|"},
          {"username": "Sue", "token": "WORD"}]
JSON = [json.dumps({"type": event, **payload, **ref}) for event, payload in REQUESTS for ref in ({}, {"ref": 1})] + [
    json.dumps({"type": "login", **login}) for login in LOGINS] + ["WORD", '{"WORD', '["WORD"]']
EVENTS = [f"42{id}{json.dumps([event, payload])}" for event, payload in REQUESTS for id in ("", "7")]
CONNECTS = [f"40{json.dumps(login)}" for login in LOGINS]

KINDS = {
    "lines": (Lines, LINES, LINES[2:]), "braces": (Braces, BRACES, BRACES[:5]), "websocket": (WebSocket, JSON, JSON),
    "socketio": (SocketIO, EVENTS, []), "polling": (Polling, EVENTS, []),
}
"""The clients of each door, what people say there after their login, and what they say before it."""

each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def present(server) -> Iterator[ExitStack]:
    """The clients that stay connected, silent, while the memory is searched."""
    with ExitStack() as stack:
        yield stack


def connected(server: Program, kind: str, stack: ExitStack, logged_in: bool = True) -> Client:
    client = KINDS[kind][0](server)
    stack.callback(client.lose)
    if logged_in:
        client.send(client.greeting.replace("NAME", name()))
        client.settle()
    return client


@each_kind
def test_what_was_said_is_not_kept_for_silent_clients(server, present, kind):
    _, after_login, before_login = KINDS[kind]
    said, clients = {}, []
    for text, logged_in in [(text, True) for text in after_login] + [(text, False) for text in before_login]:
        client, word = connected(server, kind, present, logged_in), canary()
        client.send(text.replace("WORD", word))
        client.settle()
        clients.append(client)
        said[word] = text
    for client in clients:
        client.settle()  # those that poll have heard everything now
    assert [f"{said[found.split()[0]]} → {found}" for found in server.keeps(*said)] == []


def test_what_a_request_contains_is_not_kept(server, present):
    word = canary()
    for path in (f"/chat/{word}", f"/healthz?{word}", f"/metrics?{word}", f"{Polling.path}&t={word}", f"/ws?{word}"):
        connection = present.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port)))
        connection.request("GET", path, headers={
            "Cookie": word, "Authorization": f"Bearer {word}", "Origin": f"http://{word}", "User-Agent": word,
            "X-Forwarded-For": word, f"X-{word}": "1"})
        connection.getresponse().read()
    assert server.keeps(word) == []


def test_a_refused_login_over_socketio_is_not_kept(server, present):
    said = {}
    for packet in CONNECTS:
        client, word = connected(server, "socketio", present, logged_in=False), canary()
        said[word] = packet
        client.send(packet.replace("WORD", word))
        client.hear("44")
    assert [f"{said[found.split()[0]]} → {found}" for found in server.keeps(*said)] == []


def test_the_last_messages_of_a_room_are_kept_and_no_others(server, present):
    word, client = canary(), WebSocket(server)
    present.callback(client.lose)
    client.send('{"type": "login", "username": "Alex", "password": "password"}')
    client.send('{"type": "join", "room": "Taskmaster"}')
    for text in (word, *range(10)):
        if text == 9:
            client.settle()
            assert server.finds(word)
        client.send(json.dumps({"type": "message", "room": "Taskmaster", "message": str(text)}))
    client.settle()
    assert server.keeps(word) == []


ENDS: dict[str, Callable[[Client], None]] = {"goodbye": lambda client: client.close(), "reset": Client.lose}


@each_kind
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "stranger"])
def test_a_connection_that_has_ended_leaves_nothing_to_the_garbage_collector(server, kind, end, logged_in):
    if (kind, end) == ("polling", "reset"):
        pytest.skip("a session that polls ends when its client does not come back, not with a connection")
    with ExitStack() as stack:
        for measured in (False, True):  # the first ones may fill caches
            before = server.ask("live") if measured else {}
            for _ in range(3):
                ENDS[end](connected(server, kind, stack, logged_in))
            deadline = time.monotonic() + PATIENCE
            while measured and (left := grown(before, server.ask("live"))):
                assert time.monotonic() < deadline, left


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {kind: more for kind, number in after.items() if (more := number - before.get(kind, 0)) >= 3}
