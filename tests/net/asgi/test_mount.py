"""Mounting an ASGI application in Tornado: where it is called, what it is told, when it starts and stops."""

import asyncio
import unittest

import socketio
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application, RequestHandler

from tests.net.asgi.bridge import CONNECT, TIMEOUT, BridgeTest, respond
from webchat.net.asgi import Lifespan, mount


class ScopeTest(BridgeTest):
    options = {"root_path": "/base", "state": {"key": "value"}}

    async def asgi(self, scope, receive, send):
        await respond(send)

    async def scope(self, request):
        client = await self.connect()
        client.send(request)
        self.assertIn(b"200", await client.read_until(b"\r\n\r\n"))
        self.sockname = client.stream.socket.getsockname()
        return self.scopes[-1]

    @gen_test
    async def test_an_http_request(self):
        scope = await self.scope(b"POST /a%20b/%C3%A4?q=%20&r HTTP/1.1\r\nHost: test\r\n\r\n")
        headers = scope.pop("headers")
        self.assertEqual(headers, [(b"host", b"test")])
        self.assertEqual(scope, {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/a b/ä",
            "raw_path": b"/a%20b/%C3%A4",
            "query_string": b"q=%20&r",
            "root_path": "/base",
            "client": self.sockname,
            "server": ("127.0.0.1", self.get_http_port()),
            "extensions": {},
            "state": {"key": "value"},
        })

    @gen_test
    async def test_header_names_are_lowered_and_duplicates_kept_in_order(self):
        scope = await self.scope(b"GET / HTTP/1.1\r\nHost: test\r\nX-One: 2\r\nx-one: 1\r\nX-Two:\xe4\r\n\r\n")
        self.assertEqual(scope["headers"][1:], [(b"x-one", b"2"), (b"x-one", b"1"), (b"x-two", b"\xe4")])

    @gen_test
    async def test_every_method_reaches_the_application(self):
        for method in ("PROPFIND", "OPTIONS", "BREW", "get"):
            scope = await self.scope(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            self.assertEqual(scope["method"], method.upper())

    @gen_test
    async def test_http_1_0(self):
        self.assertEqual((await self.scope(b"GET / HTTP/1.0\r\n\r\n"))["http_version"], "1.0")

    @gen_test
    async def test_each_request_has_its_own_state(self):
        (await self.scope(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"))["state"]["key"] = "changed"
        scope = await self.scope(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assertEqual(scope["state"], {"key": "value"})

    @gen_test
    async def test_a_path_that_is_not_utf8_is_told_as_well_as_possible(self):
        scope = await self.scope(b"GET /%FF HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assertEqual((scope["path"], scope["raw_path"]), ("/\N{REPLACEMENT CHARACTER}", b"/%FF"))


class WebSocketScopeTest(BridgeTest):
    async def asgi(self, scope, receive, send):
        await send({"type": "websocket.accept"})

    @gen_test
    async def test_a_websocket(self):
        client = await self.connect()
        client.send(CONNECT.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: one, two\r\n\r\n"))
        await client.read_until(b"\r\n\r\n")
        scope = self.scopes[-1]
        self.assertEqual((scope["type"], scope["scheme"], scope["subprotocols"]), ("websocket", "ws", ["one", "two"]))
        self.assertNotIn("method", scope)
        self.assertIn("websocket.http.response", scope["extensions"])

    @gen_test
    async def test_a_post_is_no_websocket_whatever_its_headers(self):
        self.asgi = lambda scope, receive, send: respond(send)
        client = await self.connect()
        client.send(CONNECT.replace(b"GET", b"POST"))
        await client.response()
        self.assertEqual(self.scopes[-1]["type"], "http")


class BehindProxyTest(BridgeTest):
    def get_httpserver_options(self):
        return {"xheaders": True}

    async def asgi(self, scope, receive, send):
        await respond(send)

    @gen_test
    async def test_the_client_is_the_one_that_the_trusted_proxy_names(self):
        client = await self.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nX-Real-Ip: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n")
        await client.response()
        self.assertEqual((self.scopes[-1]["client"], self.scopes[-1]["scheme"]), (("192.0.2.7", 0), "https"))


class MountTest(AsyncHTTPTestCase):
    def get_app(self):
        async def one(scope, receive, send):
            await respond(send, b"asgi")

        class Other(RequestHandler):
            def get(self):
                self.write("tornado")

        return Application([*mount(r"/one/.*", one), (r"/.*", Other)])

    def test_only_paths_that_match_reach_the_application(self):
        self.assertEqual([self.fetch(path).body for path in ("/one/", "/one", "/other/one/")],
                         [b"asgi", b"tornado", b"tornado"])


class LifespanTest(unittest.IsolatedAsyncioTestCase):
    async def test_startup_and_shutdown_surround_the_requests(self):
        seen = []

        async def app(scope, receive, send):
            scope["state"]["pool"] = "open"
            for step in ("startup", "shutdown"):
                self.assertEqual(await receive(), {"type": f"lifespan.{step}"})
                seen.append(step)
                await send({"type": f"lifespan.{step}.complete"})

        lifespan = Lifespan(app)
        await lifespan.start()
        self.assertEqual((seen, lifespan.state), (["startup"], {"pool": "open"}))
        await lifespan.stop()
        self.assertEqual(seen, ["startup", "shutdown"])

    async def test_a_startup_that_fails_says_why(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        with self.assertRaisesRegex(RuntimeError, "no database"):
            await Lifespan(app).start()

    async def test_an_application_that_knows_no_lifespan_is_started(self):
        async def app(scope, receive, send):
            assert scope["type"] == "http"

        lifespan = Lifespan(app)
        await asyncio.wait_for(lifespan.start(), TIMEOUT)
        await asyncio.wait_for(lifespan.stop(), TIMEOUT)


class SocketIOTest(AsyncHTTPTestCase):
    """python-socketio as it comes, with its own client."""

    def get_app(self):
        self.sio = socketio.AsyncServer(async_mode="asgi")
        self.sio.on("double", self.double)
        return Application(mount(r"/socket.io/.*", socketio.ASGIApp(self.sio)))

    async def double(self, sid, word):
        await self.sio.emit("doubled", word * 2)
        return len(word)

    async def call(self, transports):
        client = socketio.AsyncClient(reconnection=False)
        doubled = asyncio.get_running_loop().create_future()
        client.on("doubled", doubled.set_result)
        await client.connect(self.get_url("/"), transports=transports)
        try:
            length = await client.call("double", "ä" * 40_000, timeout=TIMEOUT)
            return length, len(await asyncio.wait_for(doubled, TIMEOUT)), client.transport()
        finally:
            # Stock python-engineio leaves a poll of a client that said goodbye hanging; this ends it from our side.
            await (client.eio.http.close() if client.transport() == "polling" else client.disconnect())
            await asyncio.wait_for(client.eio.wait(), TIMEOUT)

    @gen_test
    async def test_over_websocket(self):
        self.assertEqual(await self.call(["websocket"]), (40_000, 80_000, "websocket"))

    @gen_test
    async def test_over_polling(self):
        self.assertEqual(await self.call(["polling"]), (40_000, 80_000, "polling"))

    @gen_test
    async def test_through_the_upgrade(self):
        self.assertEqual(await self.call(None), (40_000, 80_000, "websocket"))
