"""The server process: opens the doors around one hub, serves until a signal comes, and closes the doors in order."""

import asyncio
import gc
import logging
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from webchat import __version__, listeners, streams, supervisor
from webchat.backplane.contract import Backplane
from webchat.backplane.local import LocalBackplane
from webchat.chat import accounts
from webchat.chat.accounts import Accounts, AccountsError
from webchat.chat.hub import Hub
from webchat.config import Config
from webchat.gateways.braces import BraceDoor
from webchat.gateways.door import Door
from webchat.gateways.lines import LineDoor
from webchat.gateways.monitoring import Health, Metrics
from webchat.listeners import CannotStart
from webchat.net.addresses import AddressLimit
from webchat.net.entrance import Entrance
from webchat.net.fair_threads import FairThreads
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies
from webchat.web import WebDoor

log = logging.getLogger(__name__)

HASHING_THREADS = 2
"""Password hashes computed at the same time; each takes a core, and memory, for a moment."""

DRAIN_TIME = 4.0
"""Seconds that connections have to receive what is queued for them when the server stops."""

GOING_DOWN = "The server is going down; come back in a moment."


class Server:
    """Every door of the chat, around one hub, on the running event loop. Raises CannotStart."""

    def __init__(self, config: Config):
        self.config = config
        self.backplane = _backplane(config)
        self._hashing = FairThreads(HASHING_THREADS, "password")
        self._doors: list[Door] = []
        self._started = time.monotonic()

    async def start(self) -> list[str]:
        """Open the doors. Returns a line for each, with its address. Raises CannotStart; no door is open then."""
        config = self.config
        known = self._load_accounts()
        tls = listeners.tls_context(config)
        sockets = listeners.bind(config, reuse_port=config.workers > 1)
        self.hub = hub = Hub(known, self.backplane, asyncio.get_running_loop(), history=config.history,
                             message_rate=config.message_rate, address_rate=config.address_rate,
                             capacity=config.max_connections)
        self.backplane.attach(hub)
        await self.backplane.start()
        outbox, entrance = Outbox(), _entrance(config)
        doors: dict[str, Callable[[], Door]] = {
            "http": lambda: WebDoor(config, hub, outbox, entrance, metrics=self._metrics(), health=self.health),
            "lines": lambda: LineDoor(hub, outbox),
            "braces": lambda: BraceDoor(hub, outbox),
        }
        for name, bound in sockets.items():
            door = doors[name]()
            door.use_tls(tls)
            door.add_sockets(bound, entrance)
            self._doors.append(door)
        return [listeners.describe(name, bound[0], tls=tls is not None) for name, bound in sockets.items()]

    async def stop(self) -> None:
        """Close the doors, say goodbye to the clients, wait until they have received everything, and free our names.

        Clients that do not read are waited for no longer than DRAIN_TIME.
        """
        for door in self._doors:
            door.stop()
        await asyncio.wait([asyncio.ensure_future(door.drain(GOING_DOWN)) for door in self._doors], timeout=DRAIN_TIME)
        await self.backplane.stop()
        self._hashing.stop()

    def reload(self) -> None:
        """Read the accounts and the certificate again. Nobody is disconnected; a file with an error changes nothing."""
        self._reload_accounts()
        self._reload_certificate()

    def _reload_accounts(self) -> None:
        try:
            self.hub.accounts = self._load_accounts(guesses=self.hub.accounts.guesses)
            log.info("The accounts were read again.")
        except CannotStart as error:
            log.error("The accounts stay as they were: %s", error)

    def _reload_certificate(self) -> None:
        try:
            tls = listeners.tls_context(self.config)
        except CannotStart as error:
            log.error("The certificate stays as it was: %s", error)
            return
        if tls is not None:
            # A new context, because a certificate that is loaded into the old one replaces only one with the same kind
            # of key, and if the new key does not fit it, half of it has been taken.
            for door in self._doors:
                door.use_tls(tls)
            log.info("The certificate was read again.")

    def health(self) -> Health:
        """Return what `/healthz` shows."""
        return Health(self.backplane.health()["status"], __version__, int(time.monotonic() - self._started),
                      len(self.hub.people))

    def _load_accounts(self, **options: Any) -> Accounts:
        run = self._hashing.run
        try:
            if self.config.accounts:
                return accounts.load(self.config.accounts, run, **options)
        except AccountsError as error:
            raise CannotStart(str(error)) from error
        if self.config.has_demo_accounts:
            return accounts.demo_accounts(run, **options)
        return Accounts((), run, **options)

    def _metrics(self) -> Metrics:
        metrics = Metrics()
        metrics.refusals = self.hub.refusals
        metrics.messages = self.hub.messages
        metrics.backplane = self.backplane.counts
        metrics.watch("degraded", "1 while Redis is away, and new names are refused.",
                      lambda: self.backplane.health()["status"] != "ok")
        metrics.watch("nodes", "Servers that are one chat, as far as this one can see.",
                      lambda: self.backplane.health().get("nodes", 1))
        metrics.watch("users", "People in the chat, on all its servers.", lambda: len(self.hub.people))
        metrics.watch("connections", "Connections to this server.", lambda: len(self.hub.sessions))
        return metrics


def _entrance(config: Config) -> Entrance:
    proxies = Proxies(config.trusted_proxy)
    connections, sessions = (
        AddressLimit(config.max_per_address, exempt=lambda address: address.is_loopback or proxies.include(address))
        for _ in range(2))
    return Entrance(connections, sessions, proxies)


def _backplane(config: Config) -> Backplane:
    if config.redis is None:
        return LocalBackplane()
    from webchat.backplane import redis  # loaded only where it is used
    return redis.RedisBackplane(config.redis, key=config.redis_key)


def _print(doors: Sequence[str]) -> None:
    streams.say("\n".join(doors), sys.stdout)


async def serve(config: Config, announce: supervisor.Announce = _print) -> None:
    """Run the chat until SIGTERM or SIGINT. SIGHUP reads the accounts and the certificate again. Raises CannotStart."""
    server, stopping, loop = Server(config), asyncio.Event(), asyncio.get_running_loop()
    doors = await server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    announce(doors)  # only now: whoever reads it may send a signal at once
    # What exists now lives as long as the process, and little of what comes forms reference cycles. So the garbage
    # collector skips the former and looks at the latter less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    await stopping.wait()
    await server.stop()


def run(config: Config) -> int:
    """Run the program until it is told to stop. Returns the exit status."""
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Tornado warns of every failed handshake, with the peer's address: a scan of the ports would fill the log.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    _raise_descriptor_limit()
    if config.workers == 1:
        return _run_process(config, _print)
    try:
        _check_ports(config)
    except CannotStart as error:
        streams.say(str(error), sys.stderr)
        return 1
    return supervisor.run(config.workers, partial(_run_process, config))


def _check_ports(config: Config) -> None:
    """Raise CannotStart if a port is in use. Workers would not notice another webchat that shares its ports."""
    for sock in chain.from_iterable(listeners.bind(config, reuse_port=False).values()):
        sock.close()


def _run_process(config: Config, announce: supervisor.Announce) -> int:
    """Serve in this process, on a new event loop. Returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(serve(config, announce))
    except CannotStart as error:
        streams.say(str(error), sys.stderr)
        return 1
    return 0


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not available on this platform
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _raise_descriptor_limit() -> None:
    """Allow as many file descriptors as possible: each connection takes one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
