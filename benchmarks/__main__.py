"""`python -m benchmarks`: every case, every peer that is installed, a table; with `--plot FILE` a drawing as well."""

import argparse
import resource
import sys
from pathlib import Path

from benchmarks import plot, report
from benchmarks.cases import CASES, CHATS, SWEEP, Case
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
    parser.add_argument("--repeat", type=int, default=3, help="how often each case is run (3); medians are shown")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the cases with these words in their names")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw cost against listeners as an SVG file")
    return parser.parse_args()


def _missing(cases: list[Case]) -> set[Peer]:
    """The peers that this machine does not have; each is named once."""
    lacking = {peer: peer.lacks() for peer in dict.fromkeys(peer for case in cases for peer in case.peers)}
    for peer, lack in lacking.items():
        if lack:
            _tell(f"skipped: {peer.name}: {lack}")
    return {peer for peer, lack in lacking.items() if lack}


def _repeat(case: Case, times: int, missing: set[Peer]) -> Rounds:
    rounds: Rounds = []
    for number in range(1, times + 1):
        figures = {}
        for peer in case.peers:
            if peer not in missing:
                _tell(f"{case.name}: {peer.name} ({number} of {times})")
                try:
                    figures[peer] = _run(case, peer)
                except (CannotRun, Stalled) as error:
                    _tell(f"failed: {case.name}: {peer.name}: {error}")
        rounds.append(figures)
    return rounds


def _run(case: Case, peer: Peer):
    port = free_port()
    with running(peer.command(port), port, peer.environment) as server:
        return case.measure(peer, server)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
