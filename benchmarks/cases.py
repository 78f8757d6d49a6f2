"""The cases that are measured."""

import statistics
import time
from dataclasses import dataclass

from benchmarks import peers
from benchmarks.load import Fleet
from benchmarks.peers import Peer
from benchmarks.processes import Process

WARM_UP = 5
"""Rounds that are not measured, before those that are."""

SIZE = 64
"""Bytes of a message."""

SETTLING_TIME = 3.0
"""Seconds after the last login in which a server may finish its deferred work."""


@dataclass(frozen=True)
class Figure:
    """`cpu` is µs of server time for each delivery or login, `memory` KiB for each user; latencies are in ms."""

    cpu: float
    memory: float | None = None
    median: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class FanOut:
    """In each round `speakers` clients send one message each at the same time, and all clients receive all of them."""

    listeners: int
    speakers: int
    rounds: int
    peers: tuple[Peer, ...]

    @property
    def name(self) -> str:
        who = "one speaks" if self.speakers == 1 else f"{self.speakers} speak at once"
        return f"{who}, {self.listeners:,} listen"

    unit = "µs a delivery"

    def measure(self, peer: Peer, server: Process) -> Figure:
        """Raises Stalled."""
        with Fleet(peer.protocol(), server.port, self.listeners) as fleet:
            fleet.settle()
            for _ in range(WARM_UP):
                fleet.round(self.speakers, SIZE)
            before = server.cpu()
            rounds = [fleet.round(self.speakers, SIZE) for _ in range(self.rounds)]
            cpu = server.cpu() - before
        latencies = sorted(latency for each in rounds for latency in each.latencies)
        return Figure(
            cpu=cpu / sum(each.deliveries for each in rounds),
            median=statistics.median(latencies),
            p99=latencies[len(latencies) * 99 // 100],
        )


@dataclass(frozen=True)
class Idle:
    """`users` log in one after the other and send nothing."""

    users: int
    peers: tuple[Peer, ...]

    @property
    def name(self) -> str:
        return f"{self.users:,} idle users"

    unit = "µs a login"

    def measure(self, peer: Peer, server: Process) -> Figure:
        """Raises Stalled."""
        cpu, memory = server.cpu(), server.memory()
        with Fleet(peer.protocol(), server.port, self.users, batch_size=1) as fleet:
            deadline = time.monotonic() + SETTLING_TIME
            while time.monotonic() < deadline:
                fleet.read(0.1)
            return Figure((server.cpu() - cpu) / self.users, (server.memory() - memory) / self.users)


Case = FanOut | Idle

CHATS = (peers.FLOOR, peers.WEBCHAT, peers.NODE_CHAT, peers.PYTHON)

CASES: tuple[Case, ...] = (
    FanOut(200, 1, 100, CHATS),
    FanOut(1_000, 1, 40, CHATS),
    FanOut(5_000, 1, 12, CHATS[:3]),
    FanOut(200, 20, 20, CHATS),
    Idle(3_000, (peers.WEBCHAT, peers.NODE_PLAIN)),
)

SWEEP = (
    FanOut(50, 1, 400, CHATS),
    FanOut(200, 1, 100, CHATS),
    FanOut(1_000, 1, 40, CHATS),
    FanOut(4_000, 1, 12, CHATS[:3]),
    FanOut(10_000, 1, 6, CHATS[:2]),
)
"""For the chart: cost by number of listeners.

Some chats send everybody a message for each login; they are left out where the logins alone would take half an hour.
"""
