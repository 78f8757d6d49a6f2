"""What several processes cost: `python -m benchmarks.scaling` prints a table. It needs redis-server.

Workers: deliveries a second, and CPU for each delivery, of all processes and of Redis. The backplane: the CPU of a
message with and without it, and the latency. Private messages: the CPU of a node while two others exchange them.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.load import Fleet, SocketIO
from benchmarks.processes import Process, free_port
from webchat.backplane.address import parse
from webchat.backplane.contract import Backplane
from webchat.backplane.local import LocalBackplane
from webchat.backplane.redis import RedisBackplane
from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.events import ChatMessage, Event, Login, Say, Tell
from webchat.chat.hub import Hub
from webchat.chat.session import Session
from webchat.net.fair_threads import FairThreads

LISTENERS = 400
ROUNDS = 60
REPETITIONS = 5
MESSAGE_SIZE = 64
"""Bytes of a message."""

RATES = (0, 500, 1000, 2000)
"""Private messages a second between two nodes, while a third node is measured."""

SECONDS = 4.0
"""How long each rate is kept up."""


@contextmanager
def redis_server() -> Iterator[tuple[str, Process]]:
    """A Redis that keeps nothing on disk: its URL, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
                                  stdout=subprocess.DEVNULL)
        while not Path(path).exists():
            time.sleep(0.01)
        try:
            yield f"unix://{path}", Process(server.pid, 0)
        finally:
            server.terminate()
            server.wait()


@contextmanager
def started(command: list[str]) -> Iterator[tuple[Process, str]]:
    """A program that prints a line when it is ready: its process, and that line."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        line = server.stdout.readline().decode().strip()
        yield Process(server.pid, 0), line
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


# Workers.

@contextmanager
def webchat(*flags: str) -> Iterator[tuple[int, list[Process]]]:
    """The whole program: its port, and the processes that serve."""
    port = free_port()
    command = [sys.executable, "-m", "webchat.main", "--port", str(port), "--lines-port", "0", "--braces-port", "0",
               "--message-rate", "0", *flags]
    with started(command) as (server, _):
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        yield port, [Process(int(pid), port) for pid in children] or [server]


def measure_workers(flags: list[str], speakers: int, redis: list[Process]) -> list[float]:
    """Deliveries a second, CPU of the servers and of Redis for each delivery (µs), median latency (ms)."""
    with webchat(*flags) as (port, processes), Fleet(SocketIO(), port, LISTENERS) as fleet:
        fleet.settle()
        for _ in range(5):
            fleet.round(speakers, MESSAGE_SIZE)
        before = [sum(each.cpu() for each in group) for group in (processes, redis)]
        started_at = time.perf_counter()
        rounds = [fleet.round(speakers, MESSAGE_SIZE) for _ in range(ROUNDS // speakers + 5)]
        duration = time.perf_counter() - started_at
        after = [sum(each.cpu() for each in group) for group in (processes, redis)]
    deliveries = sum(each.deliveries for each in rounds)
    latencies = [latency for each in rounds for latency in each.latencies]
    cpu = [(b - a) / deliveries for a, b in zip(before, after, strict=True)]
    return [deliveries / duration, *cpu, statistics.median(latencies)]


def compare_workers(url: str, server: Process) -> None:
    """Print the medians of several runs; the cases take turns."""
    cases: dict[str, tuple[list[str], list[Process]]] = {
        "one process": ([], []),
        "one process, --redis": (["--redis", url], [server]),
        "two processes, --workers 2": (["--redis", url, "--workers", "2"], [server]),
    }
    print(f"{'server':28} {'speakers':>8} {'deliveries/s':>12} {'CPU µs':>8} {'Redis µs':>8} {'p50 ms':>8}")
    for speakers in (1, 20):
        runs: dict[str, list[list[float]]] = {title: [] for title in cases}
        for _ in range(REPETITIONS):
            for title, (flags, redis) in cases.items():
                runs[title].append(measure_workers(flags, speakers, redis))
        for title, figures in runs.items():
            rate, served, redis_cpu, latency = map(statistics.median, zip(*figures, strict=True))
            print(f"{title:28} {speakers:8} {rate:12,.0f} {served:8.2f} {redis_cpu:8.2f} {latency:8.1f}")


# Nodes without a network interface for clients.

class Receiver:
    """An outlet that notes when messages arrive."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def send(self, frame: object) -> None:
        if isinstance(frame, ChatMessage):
            self.times.append(time.perf_counter())

    def close(self, reason: str) -> None: ...


class Responder(Receiver):
    """An outlet of a person who answers each private `ping` with `pong`."""

    def __init__(self, node: "BenchmarkNode"):
        super().__init__()
        self.session: Session | None = None
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, frame: object) -> None:
        super().send(frame)
        if isinstance(frame, ChatMessage) and frame.text == "ping" and self.session:
            task = asyncio.create_task(self._node.tell(self.session, frame.from_user, "pong"))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class BenchmarkNode:
    """A hub and its backplane."""

    def __init__(self, backplane: Backplane):
        self.backplane = backplane
        self.hub = Hub(Accounts((), run=FairThreads(1, "password").run), backplane, asyncio.get_running_loop())
        backplane.attach(self.hub)

    async def login(self, name: str, outlet: Receiver) -> Session:
        session = self.hub.open(encode=unchanged, outlet=outlet, address="")
        await self.hub.handle(session, Login(name))
        return session

    async def say(self, speaker: Session) -> None:
        await self.hub.handle(speaker, Say("x" * MESSAGE_SIZE))

    async def tell(self, speaker: Session, to: str, text: str) -> None:
        await self.hub.handle(speaker, Tell(to, text))

    async def wait_for(self, name: str) -> None:
        """Wait until a person is known here."""
        await until(lambda: self.hub.people.find(names.key(name)) is not None)


def unchanged(event: Event) -> Event:
    """An encoder whose frames are the events."""
    return event


def responding_node(url: str) -> list[str]:
    """The command of a node in a process of its own; it prints the name of its person."""
    return [sys.executable, "-m", "benchmarks.scaling", "respond", url]


async def measure_backplane(url: str) -> None:
    """Print the CPU of a message to everyone at the sending and the receiving node, and the latency between them."""
    alone = BenchmarkNode(LocalBackplane())
    speaker = await alone.login("ada", Receiver())
    print(f"\n{'a message, one listener':42} {'µs':>8}")
    print(f"{'local backplane: to say it':42} {await sending_cost(alone, speaker):8.1f}")
    one, receiver = BenchmarkNode(RedisBackplane(parse(url))), Receiver()
    await one.backplane.start()
    speaker = await one.login("ada", receiver)
    print(f"{'redis, no other node: to say it':42} {await sending_cost(one, speaker):8.1f}")
    with started(responding_node(url)) as (other, name):
        await one.wait_for(name)
        for rate in (200, 2000, 20_000):
            await measure_rate(rate, one, speaker, other)
        latencies = [await round_trip(one, speaker, receiver, name) / 2 for _ in range(500)]
    print(f"{'redis: node to node, median, ms':42} {statistics.median(latencies):8.2f}")
    print(f"{'redis: node to node, 99th of 100, ms':42} {statistics.quantiles(latencies, n=100)[98]:8.2f}")
    await one.backplane.stop()


async def sending_cost(node: BenchmarkNode, speaker: Session) -> float:
    """CPU of this process for each of many messages, in µs."""
    before = time.process_time()
    count = 20_000
    for n in range(count):
        await node.say(speaker)
        if not n % 20:
            await asyncio.sleep(0)
    return (time.process_time() - before) / count * 1e6


async def measure_rate(rate: int, node: BenchmarkNode, speaker: Session, other: Process) -> None:
    """Print the CPU for each message at a rate a second, without that of an idle loop at the same rate."""
    before = time.process_time()
    await at_rate(rate, do_nothing)
    idle = time.process_time() - before
    other_before, before = other.cpu(), time.process_time()
    await at_rate(rate, lambda: node.say(speaker))
    count, spent = rate * SECONDS, time.process_time() - before - idle
    print(f"{f'redis, {rate:,} a second: to say it':42} {spent / count * 1e6:8.1f}")
    print(f"{f'redis, {rate:,} a second: to hear it':42} {(other.cpu() - other_before) / count:8.1f}")


async def round_trip(node: BenchmarkNode, speaker: Session, receiver: Receiver, name: str) -> float:
    """Milliseconds between a private message and its answer."""
    count, sent_at = len(receiver.times), time.perf_counter()
    await node.tell(speaker, name, "ping")
    await until(lambda: len(receiver.times) > count, 0)
    await asyncio.sleep(0.002)
    return (receiver.times[-1] - sent_at) * 1000


async def measure_private_messages(url: str) -> None:
    """Print the CPU of a node that receives nothing of what two others say to each other."""
    one = BenchmarkNode(RedisBackplane(parse(url)))
    with started(responding_node(url)) as (third, _), started(responding_node(url)) as (second, name):
        await one.backplane.start()
        speaker = await one.login("eve", Receiver())
        await one.wait_for(name)
        print(f"\n{'private messages a second':>28} {'its node, CPU %':>16} {'a third node, CPU %':>20}")
        for rate in RATES:
            before = second.cpu(), third.cpu()
            if rate:
                await at_rate(rate, lambda: one.tell(speaker, name, "x" * MESSAGE_SIZE))
            else:
                await asyncio.sleep(SECONDS)
            after = second.cpu(), third.cpu()
            spent = [(b - a) / SECONDS / 1e4 for a, b in zip(before, after, strict=True)]
            print(f"{rate:28} {spent[0]:16.2f} {spent[1]:20.2f}")
    await one.backplane.stop()


async def respond(url: str) -> None:
    """Run a node with one person, who answers each `ping`."""
    node = BenchmarkNode(RedisBackplane(parse(url)))
    await node.backplane.start()
    name, responder = f"responder {os.getpid()}", Responder(node)
    responder.session = await node.login(name, responder)
    print(name, flush=True)
    await asyncio.Event().wait()


async def do_nothing() -> None: ...


async def at_rate(rate: float, act: Callable[[], Awaitable[None]]) -> None:
    """Do something so many times a second, for SECONDS."""
    started_at, done = time.perf_counter(), 0
    while done < rate * SECONDS:
        while done < min((time.perf_counter() - started_at) * rate, rate * SECONDS):
            await act()
            done += 1
        await asyncio.sleep(0.001)


async def until(true: Callable[[], bool], pause: float = 0.001) -> None:
    """Wait until a condition is true; it is looked at every `pause` seconds."""
    while not true():
        await asyncio.sleep(pause)


def main() -> None:
    if sys.argv[1:2] == ["respond"]:
        uvloop.run(respond(sys.argv[2]))
        return
    with redis_server() as (url, server):
        compare_workers(url, server)
        uvloop.run(measure_backplane(url))
        uvloop.run(measure_private_messages(url))


if __name__ == "__main__":
    main()
