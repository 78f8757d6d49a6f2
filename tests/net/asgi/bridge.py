"""What the tests of the ASGI bridge share: a server around an application made for one test, and a bare client."""

import asyncio
import socket

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application

from webchat.net.asgi import mount, websocket_of

TIMEOUT = 5
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CONNECT = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class RecordingServer(HTTPServer):
    """Notes the stream of each connection."""

    def initialize(self, *args, **options):
        super().initialize(*args, **options)
        self.streams = []

    def handle_stream(self, stream, address):
        self.streams.append(stream)
        super().handle_stream(stream, address)


class BridgeTest(AsyncHTTPTestCase):
    """Each test sets `self.asgi`, the application; `self.scopes` are those it was called with."""

    options = {}

    def get_app(self):
        self.scopes, self.websockets = [], []
        return Application(mount(r"/.*", self.dispatch, **self.options))

    async def dispatch(self, scope, receive, send):
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            self.websockets.append(websocket_of(scope))
        await self.asgi(scope, receive, send)

    def setUp(self):
        self.clients = []
        super().setUp()

    def tearDown(self):
        for client in self.clients:
            client.stream.close()
        super().tearDown()

    async def server_stream(self):
        """The server's end of the first connection, as soon as it is there."""
        await self.until(lambda: self.http_server.streams)
        return self.http_server.streams[0]

    def get_http_server(self):
        return RecordingServer(self._app, **self.get_httpserver_options())

    async def until(self, condition):
        """Let the event loop turn until something has become true."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                await asyncio.sleep(0)

    async def connect(self):
        client = Client(IOStream(socket.create_connection(("127.0.0.1", self.get_http_port()))))
        self.clients.append(client)
        return client

    async def exchange(self, request):
        """Send bytes, and return all that comes back until the server closes."""
        client = await self.connect()
        client.send(request)
        return await client.read_all()


class WebSocketTest(BridgeTest):
    """By default the application accepts, and collects what it receives."""

    def setUp(self):
        super().setUp()
        self.events = []
        self.last = None
        self.accepted = asyncio.Event()
        self.over = asyncio.Event()

    async def asgi(self, scope, receive, send):
        await self.accept(receive, send)

    async def accept(self, receive, send):
        await send({"type": "websocket.accept"})
        self.accepted.set()
        while (event := await receive())["type"] != "websocket.disconnect":
            self.events.append(event)
            await self.received(event, send)
        self.last = event
        self.over.set()

    async def received(self, event, send):
        pass

    async def open(self):
        client = await self.connect()
        await client.websocket()
        return client

    def server_side(self):
        """The server's end of the newest connection."""
        return self.websockets[-1]

    async def disconnected(self):
        await asyncio.wait_for(self.over.wait(), TIMEOUT)
        return self.last["code"], self.last["reason"]


async def echo(event, send):
    if event["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


class Client:
    """A connection that sends bare bytes, and reads them when it is asked to."""

    def __init__(self, stream):
        self.stream = stream

    def send(self, data):
        return self.stream.write(data)

    async def read(self, size):
        return await asyncio.wait_for(self.stream.read_bytes(size), TIMEOUT)

    async def read_until(self, mark):
        return await asyncio.wait_for(self.stream.read_until(mark), TIMEOUT)

    async def read_all(self):
        return await asyncio.wait_for(self.stream.read_until_close(), TIMEOUT)

    async def response(self):
        """Read one response with a Content-Length, as (status line, header block, body)."""
        head = (await self.read_until(b"\r\n\r\n")).decode()
        status, _, headers = head.partition("\r\n")
        size = int(headers.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
        return status, headers, await self.read(size)

    async def websocket(self):
        """Shake hands."""
        self.send(CONNECT)
        head = await self.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    async def frame(self):
        """Read one frame of the server, as (opcode, payload)."""
        first, size = await self.read(2)
        if size >= 126:
            size = int.from_bytes(await self.read(2 if size == 126 else 8))
        return first & 0x0F, await self.read(size)

    def close(self):
        self.stream.close()


async def read_body(receive):
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise EOFError(event["type"])
        body += event["body"]
        if not event["more_body"]:
            return body


async def respond(send, body=b"ok", status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
