"""Participants that are programs: a socket, and two libraries."""

import json
import re
import socket
from abc import abstractmethod
from contextlib import ExitStack
from itertools import count

from websockets.sync.client import connect

from tests.participants.base import Participant, Reader, ShownMessage
from tests.program import PATIENCE
from tests.stock import Stock


class Braces(Reader):
    """A plain socket that sends `{HEADER}body` without newlines, as the exercise's own clients do."""

    MESSAGE = re.compile(r"\{(?:ALL|(?P<private>[^{}]+))\}(?P<sender>[^:{]+): (?P<text>[^{]*)")
    PRESENCE = re.compile(r"\{CLIENTS\}(?P<names>[^{]*)|\{ALL\}(?:(?P<came>[^{]+?) has joined the chat!"
                       r"|(?P<went>[^{]+?) has left the chat\.)")
    echoes_private = False

    def join(self) -> None:
        self.text = ""
        self.received = b""
        self.socket = socket.create_connection(("127.0.0.1", self.server.braces_port), PATIENCE)
        self.send("REGISTER", self.login)
        self.sees_arrival_of(self.name)

    def leave(self) -> None:
        self.send("QUIT", "")
        while self.socket.recv(65536):
            pass
        self.socket.close()

    def send(self, header: str, body: str) -> None:
        self.socket.sendall(f"{{{header}}}{body}".encode())

    def say(self, text: str) -> None:
        self.send("ALL", text)

    def tell(self, name: str, text: str) -> None:
        self.send(name, text)

    def listen(self, seconds: float) -> None:
        self.socket.settimeout(seconds)
        self.received += self.socket.recv(65536)
        self.text = self.received.decode(errors="ignore")

    def close(self) -> None:
        self.socket.close()


class Events(Participant):
    """A program that receives JSON events. `events` are all of them, with their names."""

    echoes_private = False
    events: list[tuple[str, dict]]

    def shown(self) -> list[ShownMessage]:
        return [ShownMessage(event["from_user"], event["text"], "to_user" in event)
                for kind, event in self.events if kind == "chat_message"]

    def people(self) -> set[str]:
        people = set()
        for kind, event in self.events:
            if kind == "welcome":
                people = set(event["users"])
            elif kind == "presence":
                people = people - set(event["left"]) | set(event["joined"])
        return people

    def departures(self, name: str) -> int:
        return sum(event["left"].count(name) for kind, event in self.events if kind == "presence")

    def say(self, text: str) -> None:
        self.ask("message", message=text)

    def tell(self, name: str, text: str) -> None:
        self.ask("privmsg", to_user=name, message=text)

    @abstractmethod
    def ask(self, event: str, **payload: str) -> None:
        """Send a request and wait for its acknowledgement."""


class WebSocket(Events):
    """The `websockets` library at `/ws`."""

    def join(self) -> None:
        self.events = []
        self.refs = count()
        self.connection = ExitStack()
        self.socket = self.connection.enter_context(connect(f"ws://127.0.0.1:{self.server.port}/ws"))
        self.ask("login", username=self.login, password=self.password)
        self.sees_arrival_of(self.name)

    def leave(self) -> None:
        self.connection.close()

    def ask(self, event: str, **payload: str) -> None:
        ref = next(self.refs)
        self.socket.send(json.dumps({"type": event, "ref": ref, **payload}))
        self.until(lambda: any(kind == "ack" and ack["ref"] == ref and ack["ok"] for kind, ack in self.events), event)

    def listen(self, seconds: float) -> None:
        event = json.loads(self.socket.recv(timeout=seconds))
        self.events.append((event.pop("type"), event))

    def close(self) -> None:
        self.connection.close()


class SocketIO(Events):
    """python-socketio's own client."""

    def join(self) -> None:
        self.client = Stock(f"http://127.0.0.1:{self.server.port}")
        self.client.login(self.login, self.password)
        self.events = self.client.heard

    def leave(self) -> None:
        self.client.close()

    def ask(self, event: str, **payload: str) -> None:
        answer = self.client.ask(event, **payload)
        assert answer["ok"], answer

    def listen(self, seconds: float) -> None:
        self.client.listen(seconds)

    def close(self) -> None:
        self.client.close()
