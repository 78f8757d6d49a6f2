"""The rate of messages at every door: neither another name nor another connection lets anybody say more."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tornado.netutil import bind_sockets
from websockets.asyncio.client import connect

from tests.chat.fakes import Outlet, as_it_is, immediately
from webchat.backplane.local import LocalBackplane
from webchat.chat.accounts import demo_accounts
from webchat.chat.events import ChatMessage, Login
from webchat.chat.hub import Hub
from webchat.config import Config
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import LineDoor
from webchat.gateways.monitoring import Metrics
from webchat.net.entrance import Entrance
from webchat.net.outbox import Outbox
from webchat.web import WebDoor

PATIENCE = 20
"""Seconds after which a test has failed; a busy machine is no failure."""


class StoppedClock:
    """A clock on which no time passes, so that no allowance comes back; timers run."""

    def time(self):
        return 1000.0

    def call_later(self, delay, callback):
        return asyncio.get_running_loop().call_later(delay, callback)


class Lines:
    """Somebody at the lines door. `leave` returns when the server has read everything that they sent."""

    port = "lines"
    naming, saying, renaming, leaving = "{}\n", "{}\n", "/nick {}\n", "/quit\n"

    @classmethod
    async def come(cls, ports, name):
        person = cls()
        person.reader, person.writer = await asyncio.open_connection("127.0.0.1", ports[cls.port])
        person.writer.write(cls.naming.format(name).encode())
        return person

    async def say(self, text):
        self.writer.write(self.saying.format(text).encode())

    async def rename(self, name):
        self.writer.write(self.renaming.format(name).encode())

    async def leave(self):
        self.writer.write(self.leaving.encode())
        await self.reader.read()
        self.writer.close()


class Braces(Lines):
    port = "braces"
    naming = renaming = "{{REGISTER}}{}\n"
    saying, leaving = "{{ALL}}{}\n", "{{QUIT}}\n"


class WebSocket:
    @classmethod
    async def come(cls, ports, name):
        person = cls()
        person.connection = await connect(f"ws://127.0.0.1:{ports['http']}/ws", proxy=None)
        await person.ask("login", username=name)
        return person

    async def ask(self, event, **payload):
        await self.connection.send(json.dumps({"type": event, "ref": "r", **payload}))
        while json.loads(await self.connection.recv()).get("ref") != "r":
            pass

    async def say(self, text):
        await self.ask("message", message=text)

    async def leave(self):
        await self.connection.close()


class SocketIO(WebSocket):
    @classmethod
    async def come(cls, ports, name):
        person = cls()
        person.connection = await connect(
            f"ws://127.0.0.1:{ports['http']}/socket.io/?EIO=4&transport=websocket", proxy=None)
        await person.connection.send("40" + json.dumps({"username": name}))
        await person.hear("42[\"welcome\"")
        return person

    async def hear(self, beginning):
        while not (await self.connection.recv()).startswith(beginning):
            pass

    async def ask(self, event, **payload):
        await self.connection.send("421" + json.dumps([event, payload]))
        await self.hear("431")


@asynccontextmanager
async def all_doors(**rates):
    """The ports of all doors, by name, and somebody elsewhere who hears everything."""
    hub, outbox = Hub(demo_accounts(run=immediately), LocalBackplane(), StoppedClock(), **rates), Outbox()
    doors = {"lines": LineDoor(hub, outbox, idle_time=0), "braces": BraceDoor(hub, outbox, idle_time=0),
             "http": WebDoor(Config(), hub, outbox, Entrance(), metrics=Metrics(), health=dict)}
    ports = {}
    for name, door in doors.items():
        sockets = bind_sockets(0, "127.0.0.1")
        door.add_sockets(sockets)
        ports[name] = sockets[0].getsockname()[1]
    listener = hub.open(encode=as_it_is, outlet=Outlet(), address="192.0.2.9")
    await hub.handle(listener, Login("listener"))
    try:
        yield ports, listener.outlet
    finally:
        for door in doors.values():
            door.stop()
        await asyncio.gather(*(door.drain("The test is over.") for door in doors.values()))


def run(scenario, **rates):
    async def with_doors():
        async with all_doors(**rates) as (ports, outlet):
            await scenario(ports)
            return len(outlet.of(ChatMessage))
    return asyncio.run(asyncio.wait_for(with_doors(), PATIENCE))


@pytest.mark.parametrize("door", [Lines, Braces])
def test_another_name_lets_nobody_say_more(door):
    async def scenario(ports):
        person = await door.come(ports, "N")
        for number in range(8):
            for _ in range(10):
                await person.say("text")
            await person.rename(f"N{number}")
        await person.leave()

    assert run(scenario, message_rate=4) == 8


@pytest.mark.parametrize("door", [Lines, Braces, WebSocket, SocketIO])
def test_another_connection_lets_nobody_say_more_than_their_address_may(door):
    async def scenario(ports):
        for number in range(15):
            person = await door.come(ports, f"N{number}")
            for _ in range(10):
                await person.say("text")
            await person.leave()

    assert run(scenario, message_rate=4, address_rate=30) == 60


def test_the_allowance_of_an_address_is_one_for_all_doors():
    async def scenario(ports):
        for number in range(12):
            person = await (Lines, Braces, WebSocket, SocketIO)[number % 4].come(ports, f"N{number}")
            for _ in range(10):
                await person.say("text")
            await person.leave()

    assert run(scenario, message_rate=4, address_rate=30) == 60


@pytest.mark.parametrize("door", [Lines, Braces, WebSocket, SocketIO])
def test_a_refused_message_leaves_the_connection_open(door):
    async def scenario(ports):
        person = await door.come(ports, "N")
        for _ in range(100):
            await person.say("text")
        await person.leave()

    assert run(scenario, message_rate=4) == 8
