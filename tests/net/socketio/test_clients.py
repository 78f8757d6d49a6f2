"""The Socket.IO server with the clients that people use: the official JavaScript ones, and python-socketio's."""

import asyncio
import json
import os
import shutil
import unittest
from pathlib import Path

import socketio

from tests.net.realtime import SocketTest, online

SCRIPT = Path(__file__).with_name("client.mjs")
TRANSPORTS = ("polling", "websocket", "polling,websocket")


def modules(package):
    """The folder with this package's Node modules; skips the test where there is none."""
    if shutil.which("node") is None:
        raise unittest.SkipTest("node is not installed")
    folders = [Path(__file__).parents[3] / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(":"))]
    for folder in folders:
        if (folder / package).is_dir():
            return folder
    raise unittest.SkipTest(f"the Node package {package} is not installed")


class ClientTest(SocketTest):
    def make_server(self, **options):
        server = super().make_server(**options)

        @server.event
        async def leave(sid):
            await server.disconnect(sid)

        return server

    @property
    def address(self):
        return f"http://127.0.0.1:{self.get_http_port()}"


class JavaScriptTest(ClientTest):
    async def converse(self, package, transports):
        process = await asyncio.create_subprocess_exec(
            "node", str(SCRIPT), str(modules(package)), package, self.address, transports,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        return json.loads(output)

    async def check(self, package):
        for transports in TRANSPORTS:
            with self.subTest(transports):
                seen = await self.converse(package, transports)
                self.assertEqual(seen, {
                    "transports": seen["transports"],
                    "auth": {"token": "123"},
                    "ack": ["ü", {"n": 1}],
                    "binary": [1, 2, 3],
                    "disconnect": "io server disconnect",
                })
                self.assertEqual(seen["transports"][-1], transports.rpartition(",")[2])
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()

    @online
    async def test_version_4_works_on_every_transport(self):
        await self.check("socket.io-client")

    @online
    async def test_version_3_works_on_every_transport(self):
        await self.check("socket.io-client-3")

    @online
    async def test_version_2_is_refused_at_once(self):
        for transports in ("polling", "websocket"):
            seen = await self.converse("socket.io-client-2", transports)
            self.assertIn("error", seen)
        self.assertEqual(self.sockets, {})


class PythonTest(ClientTest):
    @online
    async def test_python_socketio_works_on_every_transport(self):
        for transports in TRANSPORTS:
            with self.subTest(transports):
                client = socketio.AsyncClient(handle_sigint=False, reconnection=False, http_session=self.http)
                auth, back, left = [asyncio.get_running_loop().create_future() for _ in range(3)]
                client.on("auth", auth.set_result)
                client.on("message-back", back.set_result)
                client.on("disconnect", lambda reason, left=left: left.set_result(reason))
                await client.connect(self.address, auth={"token": "123"}, transports=transports.split(","))
                self.assertEqual(await auth, {"token": "123"})
                self.assertEqual(client.transport(), transports.rpartition(",")[2])
                self.assertEqual(await client.call("message-with-ack", ("ü", {"n": 1})), ("ü", {"n": 1}))
                await client.emit("message", b"\1\2\3")
                self.assertEqual(await back, b"\1\2\3")
                await client.emit("leave")
                self.assertEqual(await left, "server disconnect")
                await client.disconnect()
        await self.until(lambda: not self.sockets)
        self.assert_nothing_left()


del ClientTest, SocketTest  # bases, not tests
