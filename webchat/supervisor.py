"""Several processes that share the server's ports: started together, replaced one by one, stopped together."""

import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

log = logging.getLogger(__name__)

Announce = Callable[[Sequence[str]], None]
Work = Callable[[Announce], int]

STEADY = 10.0
"""Seconds after which a worker's end is an accident, and no sign that the next one would end as well."""

PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds before a worker is replaced: at first, and at most; each one that was not steady doubles them."""

GRACE = 4.6
"""Seconds that the workers have for ending before they are killed."""

ENDINGS = (signal.SIGTERM, signal.SIGINT)
HEEDED = (*ENDINGS, signal.SIGHUP, signal.SIGCHLD)


def run(count: int, work: Work) -> int:
    """Run `work` in so many processes until SIGTERM or SIGINT. Returns the exit status.

    `work` serves until it gets one of these signals itself, and returns its exit status. It calls what it is given with
    a line for each open door: they are printed once, when all workers accept. If the first worker ends without having
    done so, everything ends with its status. SIGHUP is passed on. No event loop may run in this process.
    """
    with _signals() as arrived:
        return Supervisor(count, work, arrived).run()


class Worker:
    """A place among the workers, and the process in it: `pid` is None, and `due` is set, between two of them."""

    def __init__(self, number: int):
        self.number = number
        self.pid: int | None = None
        self.due: float | None = None
        self.doors: list[str] | None = None
        self.speech: int | None = None
        self.pause = PAUSE
        self._started = 0.0

    def start(self, work: Work, lifeline: tuple[int, int]) -> None:
        self.speech, speaking = os.pipe()
        self._started, self.due = time.monotonic(), None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _be_a_worker(work, speaking, lifeline)
        os.close(speaking)

    def listen(self) -> None:
        """Take in that the doors are open. That is all a process says; one that ends before says nothing."""
        if said := os.read(self.speech, 65536):
            self.doors = json.loads(said)
        os.close(self.speech)
        self.speech = None

    def ended(self) -> int | None:
        """The status of a process that has just ended (below 0: the signal that ended it); then another is due."""
        pid, status = os.waitpid(self.pid, os.WNOHANG) if self.pid is not None else (0, 0)
        if not pid:
            return None
        self.pid = None
        if time.monotonic() - self._started > STEADY:
            self.pause = PAUSE
        self.due = time.monotonic() + self.pause
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: int) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)


class Supervisor:
    """Starts, watches and ends the workers, with nothing of an event loop that they could inherit."""

    def __init__(self, count: int, work: Work, arrived: socket.socket):
        self._work = work
        self._arrived = arrived
        self._workers = [Worker(number) for number in range(1, count + 1)]
        self._selector = selectors.DefaultSelector()
        self._selector.register(arrived, selectors.EVENT_READ)
        self._lifeline = os.pipe()
        self._announced = False
        self._end: float | None = None

    def run(self) -> int:
        first, *others = self._workers
        self._start(first)
        while first.doors is None and self._end is None:
            self._wait()
            if first.doors is None and (status := first.ended()) is not None:
                return status if status >= 0 else 128 - status
        for worker in others:
            worker.due = 0.0
        while self._end is None or any(worker.pid for worker in self._workers):
            self._start_those_due()
            self._wait()
            self._reap()
            self._lose_patience()
        return 0

    def _start_those_due(self) -> None:
        for worker in self._workers:
            if self._end is None and worker.due is not None and worker.due <= time.monotonic():
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        worker.start(self._work, self._lifeline)
        self._selector.register(worker.speech, selectors.EVENT_READ, worker)

    def _wait(self) -> None:
        """Until a signal comes, a worker speaks, one is due, or the time for ending is over."""
        dues = [worker.due for worker in self._workers if worker.due is not None and self._end is None]
        wait = min([*dues, self._end or float("inf"), time.monotonic() + 60]) - time.monotonic()
        for key, _ in self._selector.select(max(0.0, wait)):
            if key.data is None:
                for number in self._arrived.recv(4096):
                    self._signalled(number)
            else:
                self._selector.unregister(key.fd)
                key.data.listen()
                self._tell()

    def _signalled(self, number: int) -> None:
        if number in ENDINGS:
            self._end = self._end or time.monotonic() + GRACE
            self._send(signal.SIGTERM)
        elif number == signal.SIGHUP:
            self._send(signal.SIGHUP)

    def _send(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    def _tell(self) -> None:
        """Print the doors, once, when all are open."""
        if not self._announced and all(worker.doors is not None for worker in self._workers):
            self._announced = True
            # At one stroke, line end and all: the workers write, too.
            print("".join(f"{door}\n" for door in self._workers[0].doors), end="", flush=True)

    def _reap(self) -> None:
        for worker in self._workers:
            pid = worker.pid
            if (status := worker.ended()) is None or self._end is not None:
                continue
            log.warning("Worker %d (process %d) ended with %s; the next starts in %.1f s.", worker.number, pid,
                        f"status {status}" if status >= 0 else signal.Signals(-status).name, worker.pause)
            worker.pause = min(2 * worker.pause, LONGEST_PAUSE)

    def _lose_patience(self) -> None:
        if self._end is not None and self._end <= time.monotonic():
            log.warning("Workers that did not end in time were killed.")
            self._send(signal.SIGKILL)
            self._end = float("inf")


def _be_a_worker(work: Work, speaking: int, lifeline: tuple[int, int]) -> NoReturn:
    """What the forked process does, from its first moment to its last."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in HEEDED:
            signal.signal(number, signal.SIG_DFL)
        alive, kept_by_the_supervisor = lifeline
        os.close(kept_by_the_supervisor)
        threading.Thread(target=_end_with_the_supervisor, args=(alive,), daemon=True).start()
        status = work(lambda doors: os.write(speaking, json.dumps(list(doors)).encode()))
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with_the_supervisor(alive: int) -> None:
    """However the supervisor ends, its end of the pipe closes, and no worker stays behind without it."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """The signals that are heeded, as bytes to be read: between `select` and its check none goes by unnoticed."""
    arrived, arriving = socket.socketpair()
    arrived.setblocking(False)
    arriving.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in HEEDED}
    signal.set_wakeup_fd(arriving.fileno())
    try:
        yield arrived
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        arrived.close()
        arriving.close()
