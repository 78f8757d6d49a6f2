"""What several processes cost: `python -m benchmarks.scaling`; needs redis-server, prints a table.

Workers: deliveries a second and CPU a delivery, all processes and Redis included. The backplane: what one message costs
with it and without it, and how long it is under way. Private traffic: what a node spends while two others talk.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.load import Fleet, SocketIO
from benchmarks.processes import Process, free_port
from webchat.backplane import local, redis
from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.events import ChatMessage, Login, Say, Tell
from webchat.chat.hub import Hub

LISTENERS = 400
ROUNDS = 60
REPETITIONS = 5
RATES = (0, 500, 1000, 2000)
"""Private messages a second between two nodes, while a third is measured."""

SECONDS = 4.0


@contextmanager
def redis_server() -> Iterator[tuple[str, Process]]:
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


# Workers.

@contextmanager
def webchat(*flags: str) -> Iterator[tuple[int, list[Process]]]:
    """The whole program; its port, and the processes that serve."""
    port = free_port()
    command = [sys.executable, "-m", "webchat.main", "--port", str(port), "--lines-port", "0", "--braces-port", "0",
               "--message-rate", "0", *flags]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        yield port, [Process(int(pid), port) for pid in children or [server.pid]]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def workers(flags: list[str], speakers: int, also: list[Process]) -> list[float]:
    """Deliveries a second, CPU of the servers and of Redis a delivery (µs), median latency (ms)."""
    with webchat(*flags) as (port, processes), Fleet(SocketIO(), port, LISTENERS) as fleet:
        fleet.settle()
        for _ in range(5):
            fleet.round(speakers, 64)
        before, began = [sum(each.cpu() for each in group) for group in (processes, also)], time.perf_counter()
        rounds = [fleet.round(speakers, 64) for _ in range(ROUNDS // speakers + 5)]
        took = time.perf_counter() - began
        after = [sum(each.cpu() for each in group) for group in (processes, also)]
    deliveries = sum(each.deliveries for each in rounds)
    latencies = [latency for each in rounds for latency in each.latencies]
    spent = [(b - a) / deliveries for a, b in zip(before, after, strict=True)]
    return [deliveries / took, *spent, statistics.median(latencies)]


def compare_workers(url: str, server: Process) -> None:
    """Print the medians of several runs, taken in turns."""
    cases = {
        "one process": ([], []),
        "one process, --redis": (["--redis", url], [server]),
        "two processes, --workers 2": (["--redis", url, "--workers", "2"], [server]),
    }
    print(f"{'server':28} {'speakers':>8} {'deliveries/s':>12} {'CPU µs':>8} {'Redis µs':>8} {'p50 ms':>8}")
    for speakers in (1, 20):
        runs = {title: [] for title in cases}
        for _ in range(REPETITIONS):
            for title, (flags, also) in cases.items():
                runs[title].append(workers(flags, speakers, also))
        for title, figures in runs.items():
            rate, served, redis_s, latency = map(statistics.median, zip(*figures, strict=True))
            print(f"{title:28} {speakers:8} {rate:12,.0f} {served:8.2f} {redis_s:8.2f} {latency:8.1f}")


# Nodes without doors.

class Ear:
    """Takes frames, and notes when."""

    def __init__(self):
        self.heard: list[float] = []

    def send(self, frame: object) -> None:
        if isinstance(frame, ChatMessage):
            self.heard.append(time.perf_counter())

    def close(self, reason: str) -> None: ...


def same(event: object) -> object:
    return event


async def node(plane) -> Hub:
    hub = Hub(Accounts((), run=None), plane, asyncio.get_running_loop())
    plane.attach(hub)
    await plane.start()
    return hub


async def person(hub: Hub, name: str):
    session = hub.open(encode=same, outlet=Ear(), address="")
    await hub.handle(session, Login(name))
    return session


async def added(url: str) -> None:
    """CPU of a message to everyone at the speaking and at a hearing node, and how long it is under way."""
    alone = await node(local.LocalBackplane())
    speaker = await person(alone, "ada")
    print(f"\n{'a message, one listener':42} {'µs':>8}")
    print(f"{'local backplane: to say it':42} {await cost(alone, speaker):8.1f}")
    one = await node(redis.RedisBackplane(url))
    speaker = await person(one, "ada")
    print(f"{'redis, no other node: to say it':42} {await cost(one, speaker):8.1f}")
    other = subprocess.Popen([sys.executable, "-m", "benchmarks.scaling", "hear", url], stdout=subprocess.PIPE)
    name = other.stdout.readline().decode().strip()
    process = Process(other.pid, 0)
    await _until(lambda: one.people.find(names.key(name)))
    for rate in (200, 2000, 20_000):
        idle = time.process_time()
        await _pace(rate, nothing)
        idle = time.process_time() - idle
        before, said = process.cpu(), time.process_time()
        await _pace(rate, lambda: one.handle(speaker, Say("x" * 64)))
        sent, said = rate * SECONDS, time.process_time() - said - idle
        print(f"{f'redis, {rate:,} a second: to say it':42} {said / sent * 1e6:8.1f}")
        print(f"{f'redis, {rate:,} a second: to hear it':42} {(process.cpu() - before) / sent:8.1f}")
    ear = speaker.outlet
    under_way = []
    for _ in range(500):
        count, began = len(ear.heard), time.perf_counter()
        await one.handle(speaker, Tell(name, "ping"))
        await _until(lambda count=count: len(ear.heard) > count, 0)
        under_way.append((ear.heard[-1] - began) / 2 * 1000)
        await asyncio.sleep(0.002)
    print(f"{'redis: node to node, median, ms':42} {statistics.median(under_way):8.2f}")
    print(f"{'redis: node to node, 99th of 100, ms':42} {statistics.quantiles(under_way, n=100)[98]:8.2f}")
    other.terminate()
    other.wait()
    other.stdout.close()
    await one._backplane.stop()


async def cost(hub: Hub, speaker) -> float:
    before = time.process_time()
    count = 20_000
    for n in range(count):
        await hub.handle(speaker, Say("x" * 64))
        if not n % 20:
            await asyncio.sleep(0)
    return (time.process_time() - before) / count * 1e6


async def private(url: str) -> None:
    """CPU of a node that hears nothing of what two others say to each other."""
    third = subprocess.Popen([sys.executable, "-m", "benchmarks.scaling", "hear", url], stdout=subprocess.PIPE)
    third.stdout.readline()
    quiet = Process(third.pid, 0)
    two = subprocess.Popen([sys.executable, "-m", "benchmarks.scaling", "hear", url], stdout=subprocess.PIPE)
    name = two.stdout.readline().decode().strip()
    busy = Process(two.pid, 0)
    one = await node(redis.RedisBackplane(url))
    speaker = await person(one, "eve")
    await _until(lambda: one.people.find(names.key(name)))
    print(f"\n{'private messages a second':>28} {'its node, CPU %':>16} {'a third node, CPU %':>20}")
    for rate in RATES:
        before = busy.cpu(), quiet.cpu()
        if rate:
            await _pace(rate, lambda: one.handle(speaker, Tell(name, "x" * 64)))
        else:
            await asyncio.sleep(SECONDS)
        spent = [(b - a) / SECONDS / 1e4 for a, b in zip(before, (busy.cpu(), quiet.cpu()), strict=True)]
        print(f"{rate:28} {spent[0]:16.2f} {spent[1]:20.2f}")
    for process in (two, third):
        process.terminate()
        process.wait()
        process.stdout.close()
    await one._backplane.stop()


async def hear(url: str) -> None:
    """A node with one person, who answers each `ping`."""
    hub = await node(redis.RedisBackplane(url))
    name = f"ear {os.getpid()}"
    session = await person(hub, name)
    send, loop = session.outlet.send, asyncio.get_running_loop()

    class Answering(Ear):
        def send(self, frame):
            send(frame)
            if isinstance(frame, ChatMessage) and frame.text == "ping":
                loop.create_task(hub.handle(session, Tell(frame.from_user, "pong")))

    hub.close(session)
    session = hub.open(encode=same, outlet=Answering(), address="")
    await hub.handle(session, Login(name))
    print(name, flush=True)
    await asyncio.Event().wait()


async def nothing() -> None: ...


async def _pace(rate: float, act) -> None:
    began, done = time.perf_counter(), 0
    while done < rate * SECONDS:
        while done < min((time.perf_counter() - began) * rate, rate * SECONDS):
            await act()
            done += 1
        await asyncio.sleep(0.001)


async def _until(true, pause: float = 0.001) -> None:
    while not true():
        await asyncio.sleep(pause)


def main() -> None:
    if sys.argv[1:2] == ["hear"]:
        uvloop.run(hear(sys.argv[2]))
        return
    with redis_server() as (url, server):
        compare_workers(url, server)
        uvloop.run(added(url))
        uvloop.run(private(url))


if __name__ == "__main__":
    main()
