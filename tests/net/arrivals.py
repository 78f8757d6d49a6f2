"""Servers behind an entrance, and clients that arrive there."""

import asyncio
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

from tornado.iostream import StreamClosedError
from tornado.tcpserver import TCPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from webchat.net.accept import PatientAccept
from webchat.net.addresses import AddressLimit
from webchat.net.entrance import Entrance
from webchat.net.first_bytes import Times
from webchat.net.http_server import HTTPServer
from webchat.net.proxies import Proxies

PATIENCE = 10
"""Seconds after which something that should happen at once has failed."""

NEVER = 3600.0
"""Seconds; longer than any test."""

PATIENT = Times(NEVER, NEVER, NEVER, NEVER, NEVER)

TRUSTED = Proxies([ip_network("127.0.0.1")])

CLIENT_HELLO = bytes.fromhex("16 0301 0005 01 000001 00")

LINE = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n"
BINARY = bytes.fromhex("0D0A0D0A000D0A515549540A 21 11 000C CB007107 C0000201 1267 1B5F")
LOCAL = bytes.fromhex("0D0A0D0A000D0A515549540A 20 00 0000")


def limit_of(most, exempt=lambda address: False):
    """A limit that counts this machine, too."""
    return AddressLimit(most, exempt)


class Mirror(PatientAccept, TCPServer):
    """Greets each connection with its address, and sends back what it receives."""

    async def handle_stream(self, stream, address):
        with suppress(StreamClosedError):
            await stream.write(f"{address[0]} {address[1]}\n".encode())
            while True:
                await stream.write(await stream.read_bytes(1000, partial=True))


class Page(RequestHandler):
    """Answers with the address of the peer, or waits for ever."""

    async def get(self):
        if self.request.path == "/wait":
            await asyncio.Event().wait()
        self.finish(f"{self.request.remote_ip} {self.request.protocol}")


def http_server(router=None, **options):
    return HTTPServer(router or Application([("/.*", Page)], log_function=lambda handler: None), **options)


@asynccontextmanager
async def serving(server, **entrance):
    """A server behind an entrance: its port. Afterwards no address may have a place."""
    entrance = Entrance(**{"times": PATIENT, **entrance})
    sock, port = bind_unused_port()
    server.add_sockets([sock], entrance)
    async with asyncio.timeout(PATIENCE):
        try:
            yield port
        finally:
            server.stop()
            if isinstance(server, HTTPServer):
                await server.close_all_connections()
        while len(entrance.connections):
            await asyncio.sleep(0)


async def connect(port, data=b"", address="127.0.0.1"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    writer.write(data)
    return reader, writer


async def all_from(port, data=b"", address="127.0.0.1"):
    """Everything that the server sends to somebody who says this, and then nothing."""
    reader, writer = await connect(port, data, address)
    try:
        return await reader.read()
    finally:
        writer.close()


def scenario(test):
    """Run a test on an event loop of its own."""
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))
    run.__name__, run.__wrapped__ = test.__name__, test
    return run
