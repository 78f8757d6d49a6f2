"""Opens the doors around one hub, and closes them in order."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

from socketio import ASGIApp
from tornado.netutil import bind_sockets
from tornado.web import Application

from webchat import supervisor
from webchat.backplane import local
from webchat.chat import accounts
from webchat.chat.accounts import Accounts, AccountsError
from webchat.chat.hub import Hub
from webchat.codecs import json_events
from webchat.config import Config
from webchat.gateways import monitoring, pages
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import LineDoor
from webchat.gateways.monitoring import Metrics
from webchat.gateways.socketio import SocketIODoor
from webchat.gateways.websocket import WebSocketDoor
from webchat.net import asgi
from webchat.net.engineio.websocket_only import websocket_only
from webchat.net.http_server import MAX_BODY, HTTPServer, PrefixRouter
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies
from webchat.net.socketio import AsyncServer

log = logging.getLogger(__name__)

HASHES_AT_ONCE = 2
"""Password hashes computed at once; each takes a core and some memory for a moment."""

DRAIN_TIME = 4.0
"""Seconds that connections have to take what is queued for them when the server stops."""

GOING_DOWN = "The server is going down; come back in a moment."


class CannotStart(Exception):
    """A door cannot be opened; the text is a sentence for the operator."""


class Server:
    """Every door of the chat, around one hub, on the running event loop."""

    def __init__(self, config: Config):
        self.config = config
        self._hashing = ThreadPoolExecutor(HASHES_AT_ONCE, "password")
        self._doors: list[Any] = []

    async def start(self) -> list[str]:
        """Open the doors; returns a line for each, with its address. Raises CannotStart, and nothing is open then."""
        config = self.config
        known = self._load_accounts()
        tls = _tls(config)
        sockets = _bind(config, reuse_port=config.workers > 1)
        loop = asyncio.get_running_loop()
        self.backplane = _backplane(config)
        self.hub = Hub(known, self.backplane, loop, history=config.history, message_rate=config.message_rate,
                       capacity=config.max_connections)
        self.backplane.attach(self.hub)
        self.outbox = Outbox()
        await self.backplane.start()
        openings = {
            "http": lambda: HTTPServer(self._application(), ssl_options=tls),
            "lines": lambda: LineDoor(self.hub, self.outbox),
            "braces": lambda: BraceDoor(self.hub, self.outbox),
        }
        for door, bound in sockets.items():
            server = openings[door]()
            server.add_sockets(bound)
            self._doors.append(server)
        return [_address(door, bound[0], bool(tls)) for door, bound in sockets.items()]

    async def stop(self) -> None:
        """Close the doors, let what is queued leave, tell the clients to come back, and leave the other processes."""
        for door in self._doors:
            door.stop()
        await asyncio.wait([asyncio.ensure_future(each) for each in self._farewells()], timeout=DRAIN_TIME)
        await self.backplane.stop()
        self._hashing.shutdown(wait=False)

    def reload_accounts(self) -> None:
        """Read the accounts file again; a bad one changes nothing. Nobody is dropped."""
        try:
            self.hub.accounts = self._load_accounts(failures=self.hub.accounts.failures)
            log.info("The accounts were read again.")
        except CannotStart as error:
            log.error("The accounts stay as they were: %s", error)

    def health(self) -> dict:
        """What `/healthz` says."""
        return {**self.backplane.health(), "users": len(self.hub.people), "connections": len(self.hub.sessions)}

    def _load_accounts(self, **options: Any) -> Accounts:
        run = partial(asyncio.get_running_loop().run_in_executor, self._hashing)
        try:
            if self.config.accounts:
                return accounts.load(self.config.accounts, run, **options)
        except AccountsError as error:
            raise CannotStart(str(error)) from error
        if self.config.has_demo_accounts:
            return accounts.demo_accounts(run, **options)
        return Accounts((), run, **options)

    def _application(self) -> PrefixRouter:
        config = self.config
        origins, proxies = Origins(config.allow_origin), Proxies(config.trusted_proxy)
        self._socketio = AsyncServer(
            async_mode="asgi", async_handlers=False, cors_allowed_origins=origins.allows_request, connect_timeout=10,
            max_attachments=0, max_http_buffer_size=json_events.MAX_REQUEST)
        socketio_app = ASGIApp(self._socketio)
        if config.workers > 1:
            socketio_app = websocket_only(socketio_app)
        self._chat = SocketIODoor(self.hub, self._socketio, proxies)
        self._websocket = WebSocketDoor(self.hub, self.outbox, origins, proxies)
        metrics = self._metrics()
        socketio_mount = asgi.Mount(socketio_app, outbox=self.outbox, max_body_size=MAX_BODY,
                                    max_message_size=json_events.MAX_REQUEST)
        return PrefixRouter("/socket.io/", socketio_mount, Application(
            [
                *self._websocket.routes(),
                *pages.routes(),
                *monitoring.routes(health=self.health, registry=metrics.registry, proxies=proxies,
                                   metrics_token=config.metrics_token),
            ],
            default_handler_class=pages.NotFound, log_function=_log_request))

    def _metrics(self) -> Metrics:
        metrics = Metrics()
        metrics.refusals = self.hub.refusals
        metrics.messages = self.hub.messages
        metrics.backplane = self.backplane.counts
        metrics.watch("degraded", "1 while Redis is away, and new names are refused.",
                      lambda: self.backplane.health()["status"] != "ok")
        metrics.watch("users", "People in the chat, on all its servers.", lambda: len(self.hub.people))
        metrics.watch("connections", "Connections to this server.", lambda: len(self.hub.sessions))
        return metrics

    def _farewells(self):
        """What has to happen at every door before the process may end."""
        yield self._socketio.eio.disconnect()
        yield self._websocket.drain(GOING_DOWN)
        yield from (door.drain(GOING_DOWN) for door in self._doors if hasattr(door, "drain"))


def _print(doors: Sequence[str]) -> None:
    print("\n".join(doors), flush=True)


async def serve(config: Config, announce: supervisor.Announce = _print) -> None:
    """Run the chat until SIGTERM or SIGINT; SIGHUP reads the accounts again. Raises CannotStart."""
    server, stopping, loop = Server(config), asyncio.Event(), asyncio.get_running_loop()
    announce(await server.start())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload_accounts)
    # What stands now stays, and little that comes makes cycles: the collector need not look at either again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    await stopping.wait()
    await server.stop()


def run(config: Config) -> int:
    """The program: serves until it is told to stop. Returns the exit status."""
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_descriptor_limit()
    try:
        if config.workers == 1:
            return _work(config, _print)
        for sock in chain.from_iterable(_bind(config, reuse_port=False).values()):
            sock.close()  # nobody else has the ports, not even somebody who would share them
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return supervisor.run(config.workers, partial(_work, config))


def _work(config: Config, announce: supervisor.Announce) -> int:
    """One process: serve on an event loop of its own. Returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(serve(config, announce))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on this platform
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _raise_descriptor_limit() -> None:
    """A connection takes a descriptor, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _backplane(config: Config):
    if config.redis is None:
        return local.LocalBackplane()
    from webchat.backplane import redis
    try:
        return redis.RedisBackplane(config.redis, key=config.redis_key)
    except ValueError as error:
        raise CannotStart(f"--redis is not a URL that can be used: {str(error).rstrip('.')}.") from error


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"The certificate {config.tls_cert} cannot be used: {error}.") from error
    return context


DOORS = {
    "http": ("port", "--port"),
    "lines": ("lines_port", "--lines-port"),
    "braces": ("braces_port", "--braces-port"),
}
"""Each door's setting and flag, in the order in which they are announced."""


def _bind(config: Config, reuse_port: bool) -> dict[str, list[socket.socket]]:
    """All listening sockets, so that either every door opens or none. Raises CannotStart."""
    bound: dict[str, list[socket.socket]] = {}
    for door, (setting, flag) in DOORS.items():
        port = getattr(config, setting)
        if not port and door != "http":
            continue
        try:
            bound[door] = bind_sockets(port, config.host, reuse_port=reuse_port, backlog=4096)
        except OSError as error:
            for sock in (sock for socks in bound.values() for sock in socks):
                sock.close()
            raise CannotStart(_why(port, config.host, flag, error)) from error
    return bound


def _why(port: int, host: str, flag: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use already; choose another with {flag}."
    return f"Port {port} on {host} cannot be opened: {error.strerror or error}."


def _address(door: str, sock: socket.socket, tls: bool) -> str:
    host, port, *_ = sock.getsockname()
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {
        "http": f"Browser   http{'s' if tls else ''}://{where}/chat/index.html",
        "lines": f"Lines     tcp://{where}",
        "braces": f"Braces    tcp://{where}",
    }[door]


def _log_request(handler) -> None:
    """Requests are not logged: who asked for what is nobody's business, and nothing is kept."""
