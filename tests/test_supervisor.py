"""Several processes on the same ports: started by one command, with one log, and stopped together."""

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from tests.backplane.redis_server import RedisServer, needs_redis
from tests.program import PATIENCE, ROOT, LineClient, Program

SCRIPT = r"""
import itertools, json, logging, os, signal, socket, sys
from webchat import supervisor

logging.basicConfig(format="%(message)s")

def say(line):
    os.write(1, line.encode() + b"\n")  # in one write: other workers write, too

def serve(announce):
    received, signals = socket.socketpair()
    signals.setblocking(False)
    for number in (*supervisor.STOP_SIGNALS, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(signals.fileno())
    announce(["one door", "another door"])
    say(f"working {os.getpid()}")
    while received.recv(1)[0] == signal.SIGHUP:
        say("read again")
    return 0

def open_when_told(announce):
    signal.signal(signal.SIGUSR1, lambda *_: announce(["one door"]))
    say(f"working {os.getpid()}")
    while True:
        signal.pause()

def fail_to_start(announce):
    print("A sentence that says why.", flush=True)
    return 3

def exit_with_7(announce):
    announce(["one door"])
    raise SystemExit(7)

def ignore_signals(announce):
    for number in supervisor.STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    announce(["one door"])
    say(f"working {os.getpid()}")
    while True:
        signal.pause()

name, timing, tick = sys.argv[1:]
clock = {} if tick == "real" else {"clock": itertools.count(step=float(tick)).__next__}
sys.exit(supervisor.run(2, globals()[name], supervisor.WorkerTiming(**json.loads(timing)), **clock))
"""
"""Supervises two workers that run the named function; `tick` is how far the clock moves whenever it is read."""


@contextmanager
def supervised(work: str, tick: float | str = "real", **timing: float):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, work, json.dumps(timing), str(tick)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read(process: subprocess.Popen, lines: int) -> list[str]:
    return [process.stdout.readline().strip() for _ in range(lines)]


def pids(lines: list[str]) -> set[int]:
    return {int(line.split()[1]) for line in lines if line.startswith("working")}


def wait_for_end(processes: Iterable[int]) -> None:
    """Return when none of these processes runs any more. Raises AssertionError if one does not end."""
    with selectors.DefaultSelector() as selector:
        for pid in processes:
            with suppress(ProcessLookupError):
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        while running := selector.get_map():
            ended = selector.select(PATIENCE)
            assert ended, f"still running: {[key.data for key in running.values()]}"
            for key, _ in ended:
                selector.unregister(key.fd)
                os.close(key.fd)


class TestSupervisor:
    def test_the_doors_are_announced_once_when_all_workers_accept(self):
        with supervised("serve") as process:
            lines = read(process, 4)
            assert sorted(lines, key=lambda line: line.split()[0])[:2] == ["another door", "one door"]
            assert len(pids(lines)) == 2

    def test_no_door_is_announced_before_the_last_worker_accepts(self):
        with supervised("open_when_told") as process:
            for _ in range(2):
                (worker,) = pids(read(process, 1))
                os.kill(worker, signal.SIGUSR1)
            assert read(process, 1) == ["one door"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_stops_all_workers_and_the_status_is_0(self, number):
        with supervised("serve") as process:
            workers = pids(read(process, 4))
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
            assert process.communicate()[1] == ""
            wait_for_end(workers)

    def test_a_worker_that_dies_is_restarted_and_the_log_says_so(self):
        with supervised("serve") as process:
            workers = pids(read(process, 4))
            victim = min(workers)
            os.kill(victim, signal.SIGKILL)
            (replacement,) = pids(read(process, 1))
            assert replacement not in workers
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            (line,) = process.stderr.read().splitlines()
            assert re.fullmatch(rf"Worker \d \(process {victim}\) ended with SIGKILL; the next starts in 0.1 s.", line)

    def delays(self, process: subprocess.Popen, lines: int) -> list[list[float]]:
        """The delays before the restarts of each worker, from the log."""
        delays = defaultdict(list)
        for _ in range(lines):
            line = process.stderr.readline()
            ended = re.fullmatch(r"Worker (\d) .* ended with status 7; the next starts in ([\d.]+) s\.\n", line)
            assert ended, line + process.stderr.read()
            delays[ended[1]].append(float(ended[2]))
        return list(delays.values())

    def test_the_delay_before_a_restart_doubles_up_to_its_maximum_while_workers_end_early(self):
        with supervised("exit_with_7", tick=0.01, max_restart_delay=0.3) as process:
            for delays in self.delays(process, 8):
                assert delays == [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3][:len(delays)]

    def test_a_worker_that_ran_for_long_is_restarted_after_the_shortest_delay(self):
        with supervised("exit_with_7", tick=60) as process:
            for delays in self.delays(process, 8):
                assert set(delays) == {0.1}

    def test_if_the_first_worker_cannot_start_its_status_and_its_sentence_are_those_of_the_command(self):
        with supervised("fail_to_start") as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (3, "A sentence that says why.\n", "")

    def test_workers_that_do_not_stop_in_time_are_killed(self):
        with supervised("ignore_signals", stop_timeout=0) as process:
            workers = pids(read(process, 3))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert process.stderr.read() == "Workers that did not end in time were killed.\n"
            wait_for_end(workers)

    def test_a_hangup_is_passed_on(self):
        with supervised("serve") as process:
            read(process, 4)
            process.send_signal(signal.SIGHUP)
            assert read(process, 2) == ["read again"] * 2

    def test_no_worker_outlives_a_supervisor_that_was_killed(self):
        with supervised("serve") as process:
            workers = pids(read(process, 4))
            process.kill()
            wait_for_end(workers)


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
"""No name is used twice: when a process is killed, its names stay taken until its lease expires."""


def workers_of(process: subprocess.Popen) -> set[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(pid) for pid in children}


def guest(server: Program) -> tuple[int, LineClient]:
    """Somebody who is logged in, and the process that their connection is at."""
    name = f"guest{next(GUESTS)}"
    client = server.say(name)
    client.name = name
    try:
        return process_of(server, client), client
    except LookupError:
        client.close()
        raise


def guest_at_another(server: Program, *than: int) -> tuple[int, LineClient]:
    """Somebody at a process other than these: the kernel distributes new connections among all."""
    while True:
        with suppress(AssertionError, ConnectionError, LookupError):  # that process is being killed
            process, client = guest(server)
            if process not in than:
                return process, client
            client.close()


@contextmanager
def guest_at_each(server: Program):
    """Somebody at each of the two processes, by process."""
    first = guest(server)
    second = guest_at_another(server, first[0])
    with first[1], second[1]:
        yield dict((first, second))


def process_of(server: Program, client: LineClient) -> int:
    """The process at the server's end of a connection."""
    inodes = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        inodes[int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)] = fields[9]
    inode = inodes[server.lines_port, client.local_port]
    for pid in workers_of(server.process):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if os.readlink(link) == f"socket:[{inode}]":
                    return pid
    raise LookupError(inode)


def test_more_than_one_worker_needs_redis_and_one_sentence_says_so():
    with Program("--workers", "2", doors=0) as server:
        _, err = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 2
    assert err == "--workers: 2 processes need --redis URL, which makes them one chat.\n"


@needs_redis
class TestWorkers:
    def test_each_door_is_announced_once(self, server):
        assert [line.split()[0] for line in server.announced] == ["Browser", "Lines", "Braces"]
        assert len(workers_of(server.process)) == 2

    def test_people_at_different_processes_are_in_one_chat(self, server):
        with guest_at_each(server) as clients:
            one, two = clients.values()
            one.write("hello")
            two.hear(f"{one.name}: hello")
            two.write(f"/msg {one.name} psst")
            one.hear(rf"\[private\] {two.name}: psst")

    def test_long_polling_is_refused_with_a_sentence_that_says_why(self, server):
        url = f"http://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=polling"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=PATIENCE)
        with refused.value as answer:
            assert answer.code == 400
            assert "several processes on one port" in json.load(answer)["message"]

    def test_a_worker_that_dies_is_replaced_and_the_others_keep_their_connections(self, server):
        with guest_at_each(server) as clients:
            victim, survivor = sorted(clients)
            os.kill(victim, signal.SIGKILL)
            replacement, late = guest_at_another(server, victim, survivor)
            with late:
                clients[survivor].write("still here")
                late.hear(f"{clients[survivor].name}: still here")
            assert workers_of(server.process) == {replacement, survivor}

    def test_a_second_server_on_the_same_ports_is_refused(self, server, redis):
        with Program("--port", str(server.port), "--workers", "2", "--redis", redis.url, doors=0) as second:
            out, err = second.process.communicate(timeout=PATIENCE)
        assert (second.process.returncode, out) == (1, "")
        assert err == f"Port {server.port} on 127.0.0.1 is in use already; choose another with --port.\n"

    def test_on_sigterm_all_say_goodbye_and_nothing_accepts_any_more(self, server):
        with guest_at_each(server) as clients:
            server.process.send_signal(signal.SIGTERM)
            for client in clients.values():
                client.hear("-!- The server is going down")
        assert server.process.wait(PATIENCE) == 0
        assert "were killed" not in server.process.stderr.read()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), PATIENCE)
