"""Several processes that share the server's ports: started together, restarted one by one, stopped together."""

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
from dataclasses import dataclass
from typing import NoReturn

from webchat import streams

log = logging.getLogger(__name__)

Announce = Callable[[Sequence[str]], None]
"""Takes a line for each open door."""

Work = Callable[[Announce], int]
"""What a worker process does from start to end; returns its exit status."""

MonotonicClock = Callable[[], float]
"""Returns a monotonic time in seconds, as `time.monotonic` does."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
HANDLED_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    """How long the supervisor waits, in seconds.

    A worker that ends is restarted after `restart_delay`. The delay doubles up to `max_restart_delay` while workers end
    within `stable_after`. Workers that are told to stop are killed after `stop_timeout`.
    """

    stable_after: float = 10.0
    restart_delay: float = 0.1
    max_restart_delay: float = 30.0
    stop_timeout: float = 4.6


WORKER_TIMING = WorkerTiming()


def run(count: int, work: Work, timing: WorkerTiming = WORKER_TIMING, clock: MonotonicClock = time.monotonic) -> int:
    """Run `work` in `count` processes until SIGTERM or SIGINT. Returns the exit status.

    `work` serves until it gets one of these signals itself. It calls the function that it is given with a line for each
    open door; the lines are printed once, when all workers accept connections. If the first worker ends before that,
    `run` returns its status and starts no others. SIGHUP is passed on. No event loop may run in this process.
    """
    with _signals() as signals:
        return Supervisor(count, work, signals, timing, clock).run()


class Worker:
    """One of the workers, through all its restarts.

    While no process runs, `pid` is None and `start_at` is the time of the next start. `doors` is None until a process
    has reported that its doors are open.
    """

    def __init__(self, number: int, timing: WorkerTiming, clock: MonotonicClock):
        self.number = number
        self.pid: int | None = None
        self.start_at: float | None = None
        self.doors: list[str] | None = None
        self.delay = timing.restart_delay
        self._timing = timing
        self._clock = clock
        self._started = 0.0

    def start(self, work: Work, parent_pipe: tuple[int, int]) -> int:
        """Start a process. Returns the pipe on which it will report its doors."""
        report, report_to = os.pipe()
        self._started, self.start_at = self._clock(), None
        streams.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run_worker(work, report_to, parent_pipe)
        os.close(report_to)
        return report

    def read_report(self, report: int) -> None:
        """Read the doors that a process has opened from its pipe, if it has, and close the pipe."""
        if written := os.read(report, 65536):
            self.doors = json.loads(written)
        os.close(report)

    def reap(self) -> int | None:
        """Return the exit status of the process if it has just ended, and schedule the next start.

        A status below 0 is the signal that ended the process.
        """
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = None
        now = self._clock()
        if now - self._started > self._timing.stable_after:
            self.delay = self._timing.restart_delay
        self.start_at = now + self.delay
        return os.waitstatus_to_exitcode(status)

    def double_delay(self) -> None:
        """Wait longer before the next restart."""
        self.delay = min(2 * self.delay, self._timing.max_restart_delay)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if one runs."""
        if self.pid is not None:
            os.kill(self.pid, number)


class Supervisor:
    """Starts, watches and stops the workers. Uses no event loop, because the workers would inherit it."""

    def __init__(self, count: int, work: Work, signals: socket.socket, timing: WorkerTiming, clock: MonotonicClock):
        self._work = work
        self._signals = signals
        self._timing = timing
        self._clock = clock
        self._workers = [Worker(number, timing, clock) for number in range(1, count + 1)]
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self._parent_pipe = os.pipe()
        self._announced = False
        self._stopping = False
        self._kill_at = float("inf")

    def run(self) -> int:
        """Supervise until all workers have ended. Returns the exit status."""
        first, *others = self._workers
        self._start(first)
        while first.doors is None and not self._stopping:
            self._wait()
            if first.doors is None and (status := first.reap()) is not None:
                return status if status >= 0 else 128 - status
        for worker in others:
            worker.start_at = self._clock()
        while not self._stopping or any(worker.pid for worker in self._workers):
            self._start_due_workers()
            self._wait()
            self._reap_workers()
            self._kill_late_workers()
        return 0

    def _start_due_workers(self) -> None:
        if self._stopping:
            return
        for worker in self._workers:
            if worker.start_at is not None and worker.start_at <= self._clock():
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        report = worker.start(self._work, self._parent_pipe)
        self._selector.register(report, selectors.EVENT_READ, worker)

    def _wait(self) -> None:
        """Wait for a signal, a report, the next start, or the time to kill; handle signals and reports."""
        starts = [worker.start_at for worker in self._workers if worker.start_at is not None and not self._stopping]
        now = self._clock()
        timeout = min([*starts, self._kill_at, now + 60]) - now
        for key, _ in self._selector.select(max(0.0, timeout)):
            if key.data is None:
                for number in self._signals.recv(4096):
                    self._handle_signal(number)
            else:
                self._selector.unregister(key.fd)
                key.data.read_report(key.fd)
                self._announce()

    def _handle_signal(self, number: int) -> None:
        if number in STOP_SIGNALS:
            if not self._stopping:
                self._stopping = True
                self._kill_at = self._clock() + self._timing.stop_timeout
            self._send(signal.SIGTERM)
        elif number == signal.SIGHUP:
            self._send(signal.SIGHUP)

    def _send(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    def _announce(self) -> None:
        """Print the doors, once, when all workers have opened theirs."""
        reports = [worker.doors for worker in self._workers if worker.doors is not None]
        if not self._announced and len(reports) == len(self._workers):
            self._announced = True
            # In one write, line ends included: the workers may write to the same output at the same time.
            streams.say("\n".join(reports[0]), sys.stdout)

    def _reap_workers(self) -> None:
        for worker in self._workers:
            pid = worker.pid
            if (status := worker.reap()) is None or self._stopping:
                continue
            log.warning("Worker %d (process %d) ended with %s; the next starts in %.1f s.", worker.number, pid,
                        f"status {status}" if status >= 0 else signal.Signals(-status).name, worker.delay)
            worker.double_delay()

    def _kill_late_workers(self) -> None:
        if self._kill_at <= self._clock() and any(worker.pid for worker in self._workers):
            log.warning("Workers that did not end in time were killed.")
            self._send(signal.SIGKILL)
            self._kill_at = float("inf")


def _run_worker(work: Work, report_to: int, parent_pipe: tuple[int, int]) -> NoReturn:
    """Be the forked process: do the work, and end without returning to the supervisor's code."""
    status = 1

    def announce(doors: Sequence[str]) -> None:
        os.write(report_to, json.dumps(list(doors)).encode())

    try:
        signal.set_wakeup_fd(-1)
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        parent_ended, parents_end = parent_pipe
        os.close(parents_end)
        threading.Thread(target=_stop_with_parent, args=(parent_ended,), daemon=True).start()
        status = work(announce)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        streams.flush()
        os._exit(status)


def _stop_with_parent(parent_ended: int) -> None:
    """Stop this worker when the supervisor ends, even by SIGKILL: then the last writing end of the pipe closes."""
    os.read(parent_ended, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Handle signals by writing their numbers to a socket, so that `select` also waits for them without a race."""
    readable, writable = socket.socketpair()
    readable.setblocking(False)
    writable.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in HANDLED_SIGNALS}
    signal.set_wakeup_fd(writable.fileno())
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        readable.close()
        writable.close()
