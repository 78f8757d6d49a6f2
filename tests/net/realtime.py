"""What the tests of the Engine.IO and Socket.IO servers share: a server on a real port, and bare clients."""

import asyncio
import functools
import json
import logging
import socket
from pathlib import Path

import aiohttp
import engineio
import socketio
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application

import webchat
from webchat.net.asgi import mount
from webchat.net.engineio import AsyncServer as EngineServer
from webchat.net.socketio import AsyncServer as SocketServer

TIMEOUT = 10
OUR_CODE = str(Path(webchat.__file__).parent)
FAST = {"ping_interval": 0.3, "ping_timeout": 0.2}
"""The heartbeat of the protocol authors' own suites, in seconds."""

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


def online(test):
    """Run a test inside the event loop, with `self.http` as its client; nothing may be logged as an error."""

    @gen_test(timeout=TIMEOUT)
    @functools.wraps(test)
    async def run(self):
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.get_http_port()}") as self.http:
            await test(self)
        errors = [record.getMessage() for record in self.records]
        self.assertEqual(errors, self.expected_errors)

    return run


class ServerTest(AsyncHTTPTestCase, logging.Handler):
    """A server made for one test with `options`."""

    options = {}
    path = "/engine.io/"

    def get_app(self):
        self.server = self.make_server(**self.options)
        return Application(mount(r"/.*", self.asgi_app()))

    def make_server(self, **options):
        return EngineServer(**options)

    def asgi_app(self):
        return engineio.ASGIApp(self.server)

    @property
    def sockets(self):
        return self.server.sockets

    def setUp(self):
        self.records = []
        self.expected_errors = []
        logging.Handler.__init__(self, logging.ERROR)
        logging.getLogger().addHandler(self)
        super().setUp()

    def tearDown(self):
        logging.getLogger().removeHandler(self)
        super().tearDown()

    def emit(self, record):
        self.records.append(record)

    # Clients.

    def url(self, transport="polling", sid=None, eio="4", **more):
        query = {"EIO": eio, "transport": transport, "sid": sid, **more}
        return self.path + "?" + "&".join(f"{key}={value}" for key, value in query.items() if value is not None)

    async def get(self, sid=None, **query):
        """(status, body) of a polling request."""
        headers = query.pop("headers", None)
        async with self.http.get(self.url(sid=sid, **query), headers=headers) as response:
            return response.status, await response.text()

    async def post(self, sid, body, **query):
        async with self.http.post(self.url(sid=sid, **query), data=body) as response:
            return response.status, await response.text()

    async def open_polling(self):
        """The sid of a new polling session."""
        status, body = await self.get()
        self.assertEqual((status, body[0]), (200, "0"))
        return json.loads(body[1:])["sid"]

    def websocket(self, sid=None, **query):
        headers = query.pop("headers", None)
        return self.http.ws_connect(self.url("websocket", sid, **query), headers=headers)

    async def open_websocket(self):
        """A WebSocket session whose handshake has been read."""
        client = await self.websocket()
        self.handshake = json.loads((await client.receive_str())[1:])
        return client

    async def stall(self, *packets):
        """A WebSocket client that sends these packets and never reads."""
        bare = socket.socket()
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bare.connect(("127.0.0.1", self.get_http_port()))
        head = [f"GET {self.url('websocket')} HTTP/1.1", "Host: test", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        head += [f"{name}: {value}" for name, value in UPGRADE.items()]
        bare.sendall("\r\n".join([*head, "", ""]).encode())
        for packet in packets:
            bare.sendall(bytes([0x81, 0x80 | len(packet)]) + bytes(4) + packet.encode())
        self.addCleanup(bare.close)
        return bare

    async def until(self, condition):
        """Let the loop turn until something has become true."""
        async with asyncio.timeout(TIMEOUT / 2):
            while not condition():
                await asyncio.sleep(0.001)

    async def closed(self, client):
        """(code, reason) with which a WebSocket is closed; what comes before is skipped."""
        async with asyncio.timeout(TIMEOUT / 2):
            while True:
                message = await client.receive()
                if message.type == aiohttp.WSMsgType.CLOSE:
                    return message.data, message.extra
                if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSING):
                    return client.close_code, ""

    def tasks(self):
        """The tasks that run our code."""
        return [
            task for task in asyncio.all_tasks()
            if (frame := task.get_stack(limit=1)) and frame[0].f_code.co_filename.startswith(OUR_CODE)
        ]


class EngineTest(ServerTest):
    """A server that sends every message back."""

    def make_server(self, **options):
        server = super().make_server(**options)
        self.reasons = []

        @server.on("message")
        async def message(sid, data):
            await server.send(sid, data)

        @server.on("disconnect")
        def disconnect(sid, reason):
            self.reasons.append(reason)

        return server


class SocketTest(ServerTest):
    """The same with a Socket.IO server, whose handlers send back what they get."""

    path = "/socket.io/"
    namespaces = ("/", "/custom")

    def make_server(self, **options):
        server = SocketServer(**options)
        for namespace in self.namespaces:
            self.add_handlers(server, namespace)
        return server

    def add_handlers(self, server, namespace):
        @server.on("connect", namespace=namespace)
        async def connect(sid, environ, auth=None):
            await server.emit("auth", auth or {}, to=sid, namespace=namespace)

        @server.on("message", namespace=namespace)
        async def message(sid, *args):
            await server.emit("message-back", args, to=sid, namespace=namespace)

        @server.on("message-with-ack", namespace=namespace)
        async def message_with_ack(sid, *args):
            return args

    def asgi_app(self):
        return socketio.ASGIApp(self.server)

    @property
    def sockets(self):
        return self.server.eio.sockets

    @property
    def members(self):
        """The server's sockets in all namespaces, by sid."""
        namespaces = self.server.manager.namespaces.values()
        return {sid: socket for namespace in namespaces for sid, socket in namespace.everyone.items()}

    async def join(self, auth="", namespace="/"):
        """A WebSocket client that is connected to a namespace; the event of the handler has been read."""
        client = await self.open_websocket()
        prefix = "" if namespace == "/" else namespace + ","
        await client.send_str(f"40{prefix}{auth}")
        client.sid = json.loads((await self.beside_pings(client))[2 + len(prefix):])["sid"]
        if namespace in self.namespaces:
            await self.beside_pings(client)
        return client

    async def beside_pings(self, client):
        """What comes next; on a busy machine a ping may slip in before it."""
        while (text := await client.receive_str()) == "2":
            await client.send_str("3")
        return text

    def assert_nothing_left(self):
        """No session, client, socket or room of anybody."""
        self.assertEqual(self.sockets, {})
        self.assertEqual((self.server.clients, self.server.environ), ({}, {}))
        self.assertEqual(self.server.manager.namespaces, {})
