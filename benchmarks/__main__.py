"""Measure every case on every server that is installed, and print a table; with `--plot FILE` draw a chart as well."""

import argparse
import resource
import sys
from pathlib import Path

from benchmarks import plot, report
from benchmarks.cases import CASES, CHATS, SWEEP, Case, Figure
from benchmarks.load import Stalled
from benchmarks.peers import Peer
from benchmarks.processes import CannotRun, free_port, pin, running
from benchmarks.report import Rounds


def main() -> int:
    arguments = _arguments()
    _raise_descriptor_limit()
    pin(-1)
    cases = [case for case in CASES if arguments.only in case.name]
    missing = _missing([*cases, *SWEEP[:1]])
    print(report.table({case: _repeat(case, arguments.repeat, missing) for case in cases}))
    if arguments.plot:
        sweep = {case.listeners: _repeat(case, arguments.repeat, missing) for case in SWEEP}
        arguments.plot.write_text(plot.svg(sweep, CHATS))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each case (default 3); the table shows medians")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the cases whose names contain these words")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the cost by number of listeners as an SVG file")
    return parser.parse_args()


def _missing(cases: list[Case]) -> set[Peer]:
    """The servers that cannot run on this machine; the reason is printed once for each."""
    reasons = {peer: peer.missing() for peer in dict.fromkeys(peer for case in cases for peer in case.peers)}
    for peer, reason in reasons.items():
        if reason:
            _report(f"skipped: {peer.name}: {reason}")
    return {peer for peer, reason in reasons.items() if reason}


def _repeat(case: Case, times: int, missing: set[Peer]) -> Rounds:
    rounds: Rounds = []
    for number in range(1, times + 1):
        figures = {}
        for peer in case.peers:
            if peer not in missing:
                _report(f"{case.name}: {peer.name} ({number} of {times})")
                try:
                    figures[peer] = _run(case, peer)
                except (CannotRun, Stalled) as error:
                    _report(f"failed: {case.name}: {peer.name}: {error}")
        rounds.append(figures)
    return rounds


def _run(case: Case, peer: Peer) -> Figure:
    port = free_port()
    with running(peer.command(port), port, peer.environment) as server:
        return case.measure(peer, server)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
