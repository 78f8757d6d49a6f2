"""Several processes on the same ports: one command, one log, one end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.backplane.redis_server import RedisServer, needs_redis
from tests.program import PATIENCE, LineClient, Program

ROOT = Path(__file__).parent.parent

WORKER = r"""
import logging, os, signal, sys, time
from webchat import supervisor
logging.basicConfig(format="%(message)s")
def say(line):
    os.write(1, line.encode() + b"\n")  # at one stroke: others write, too
def stay(announce):
    announce(["one door", "another door"])
    ended = []
    for number in supervisor.ENDINGS:
        signal.signal(number, lambda *_: ended.append(1))
    signal.signal(signal.SIGHUP, lambda *_: say("read again"))
    say(f"working {os.getpid()}")
    while not ended:
        time.sleep(0.02)
    return 0
def fail(announce):
    print("A sentence that says why.", flush=True)
    return 3
def fall(announce):
    announce(["one door"])
    say(f"working {os.getpid()}")
    os._exit(7)
def cling(announce):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    announce(["one door"])
    say(f"working {os.getpid()}")
    while True:
        time.sleep(1)
for name, value in zip(sys.argv[2::2], sys.argv[3::2]):
    setattr(supervisor, name, float(value))
sys.exit(supervisor.run(2, globals()[sys.argv[1]]))
"""


@contextmanager
def supervised(work: str, *settings: str):
    process = subprocess.Popen([sys.executable, "-c", WORKER, work, *settings], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read(process, lines: int) -> list[str]:
    return [process.stdout.readline().strip() for _ in range(lines)]


def pids(lines: list[str]) -> set[int]:
    return {int(line.split()[1]) for line in lines if line.startswith("working")}


def until(true: Callable, within: float = PATIENCE):
    deadline = time.monotonic() + within
    while not (result := true()):
        assert time.monotonic() < deadline, f"not true within {within} s"
        time.sleep(0.01)
    return result


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestSupervisor:
    def test_the_doors_are_announced_once_when_all_workers_accept(self):
        with supervised("stay") as process:
            lines = read(process, 4)
            assert sorted(lines, key=lambda line: line.split()[0])[:2] == ["another door", "one door"]
            assert len(pids(lines)) == 2

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_all_end_together_with_status_0(self, number):
        with supervised("stay") as process:
            workers = pids(read(process, 4))
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
            assert process.communicate()[1] == ""
            assert not any(map(runs, workers))

    def test_one_that_dies_is_replaced_and_the_log_says_so(self):
        with supervised("stay") as process:
            workers = pids(read(process, 4))
            victim = min(workers)
            os.kill(victim, signal.SIGKILL)
            (replacement,) = pids(read(process, 1))
            assert replacement not in workers
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            (line,) = process.stderr.read().splitlines()
            assert re.fullmatch(rf"Worker \d \(process {victim}\) ended with SIGKILL; the next starts in 0.1 s.", line)

    def test_one_that_dies_at_once_again_and_again_is_replaced_after_growing_pauses(self):
        with supervised("fall", "PAUSE", "0.02", "LONGEST_PAUSE", "0.05") as process:
            log = [process.stderr.readline() for _ in range(12)]
        pauses = {number: [] for number in "12"}
        for line in log:
            ended = re.match(r"Worker (\d) .* ended with status 7; the next starts in ([\d.]+) s", line)
            pauses[ended[1]].append(float(ended[2]))
        assert all(waits == sorted(waits) for waits in pauses.values())

    def test_a_first_worker_that_cannot_start_ends_everything_with_its_status_and_one_sentence(self):
        with supervised("fail") as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (3, "A sentence that says why.\n", "")

    def test_those_that_do_not_end_in_time_are_killed(self):
        with supervised("cling", "GRACE", "0.3") as process:
            workers = pids(read(process, 3))
            process.send_signal(signal.SIGTERM)
            assert process.wait(2) == 0
            assert not any(map(runs, workers))

    def test_a_hangup_is_passed_on(self):
        with supervised("stay") as process:
            read(process, 4)
            process.send_signal(signal.SIGHUP)
            assert read(process, 2) == ["read again"] * 2

    def test_no_worker_outlives_a_supervisor_that_was_killed(self):
        with supervised("stay") as process:
            workers = pids(read(process, 4))
            process.kill()
            until(lambda: not any(map(runs, workers)), within=2)


@pytest.fixture(scope="module")
def redis():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(redis):
    with Program("--workers", "2", "--redis", redis.url, "--redis-key", "secret") as server:
        yield server


GUESTS = count(1)
"""No name is used twice: one that died with its process stays taken for as long as its lease."""


def workers_of(process: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children]


def at_each_worker(server: Program) -> dict[int, LineClient]:
    """Somebody at each process: the kernel deals new connections out among them."""
    clients = {}
    while len(clients) < 2:
        client = LineClient(server.lines_port)
        mine = client._socket.getsockname()[1]
        holder = until(lambda mine=mine: holder_of(server, mine))
        if holder in clients:
            client.close()
            continue
        client.name = f"guest{next(GUESTS)}"
        client.write(client.name)
        client.hear(f"-!- You are {client.name}")
        clients[holder] = client
    return clients


def holder_of(server: Program, peer_port: int) -> int | None:
    """The process that holds the server's end of a connection from `peer_port`."""
    ends = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ends[int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)] = fields[9]
    inode = ends.get((server.lines_port, peer_port))
    for pid in workers_of(server.process):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if inode and os.readlink(link) == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:
                pass
    return None


def test_more_workers_than_one_need_redis_and_say_so():
    with Program("--workers", "2", doors=0) as server:
        _, err = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 1
    assert err == "--workers 2 needs --redis URL, which makes its processes one chat.\n"


@needs_redis
class TestWorkers:
    def test_each_door_is_announced_once(self, server):
        assert [line.split()[0] for line in server.announced] == ["Browser", "Lines", "Braces"]
        assert len(workers_of(server.process)) == 2

    def test_people_at_different_processes_are_in_one_chat(self, server):
        clients = at_each_worker(server)
        one, two = clients.values()
        one.write("hello")
        two.hear(f"{one.name}: hello")
        two.write(f"/msg {one.name} psst")
        one.hear(rf"\[private\] {two.name}: psst")
        for client in clients.values():
            client.close()

    def test_long_polling_is_refused_with_a_sentence_that_says_why(self, server):
        url = f"http://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=polling"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=PATIENCE)
        with refused.value as answer:
            assert answer.code == 400
            assert "several processes on one port" in json.load(answer)["message"]

    def test_a_worker_that_dies_is_replaced_and_the_others_talk_on(self, server):
        before = set(workers_of(server.process))
        clients = at_each_worker(server)
        victim, survivor = sorted(clients)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(set(workers_of(server.process)) - {victim}) == 2)
        clients[survivor].write("still here")
        with server.say("late") as late:
            clients[survivor].write("welcome")
            late.hear("welcome")
        assert len(before & set(workers_of(server.process))) == 1
        for client in clients.values():
            client.close()

    def test_a_second_one_on_the_same_ports_is_refused(self, server, redis):
        with Program("--port", str(server.port), "--workers", "2", "--redis", redis.url, doors=0) as second:
            out, err = second.process.communicate(timeout=PATIENCE)
        assert (second.process.returncode, out) == (1, "")
        assert err == f"Port {server.port} on 127.0.0.1 is in use already; choose another with --port.\n"

    def test_on_sigterm_all_say_goodbye_and_end_within_five_seconds(self, server):
        clients = at_each_worker(server)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for client in clients.values():
            client.hear("-!- The server is going down")
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 5
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), 1)
        for client in clients.values():
            client.close()
