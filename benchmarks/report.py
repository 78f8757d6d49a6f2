"""The figures as a table."""

import statistics
from collections.abc import Callable

from benchmarks import peers
from benchmarks.cases import Case, Figure
from benchmarks.peers import Peer

Rounds = list[dict[Peer, Figure]]
"""The figures of each repetition. Only figures of the same repetition are compared, because conditions may change."""

REFERENCES = {"× Node": (peers.NODE_CHAT, peers.NODE_PLAIN), "× C loop": (peers.FLOOR,)}


def table(results: dict[Case, Rounds]) -> str:
    """A Markdown table of all cases: medians over the repetitions, and medians of the ratios within each repetition."""
    head = ["case", "server", "CPU", "memory", *REFERENCES, "median", "p99"]
    rows = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for case, rounds in results.items():
        for peer in case.peers:
            if any(peer in figures for figures in rounds):
                rows.append(_row(case, peer, rounds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def median(rounds: Rounds, peer: Peer, value: Callable[[Figure], float | None]) -> float | None:
    """The median over the repetitions in which the server was measured; None if it has no such figure."""
    values = [figure for figures in rounds if peer in figures and (figure := value(figures[peer])) is not None]
    return statistics.median(values) if values else None


def _row(case: Case, peer: Peer, rounds: Rounds) -> list[str]:
    return [
        case.name,
        peer.name,
        _text(median(rounds, peer, lambda figure: figure.cpu), f"{{:.2f}} {case.unit}"),
        _text(median(rounds, peer, lambda figure: figure.memory), "{:.1f} KiB"),
        *(_text(_ratio(rounds, peer, references), "{:.2f}") for references in REFERENCES.values()),
        _text(median(rounds, peer, lambda figure: figure.median), "{:.1f} ms"),
        _text(median(rounds, peer, lambda figure: figure.p99), "{:.1f} ms"),
    ]


def _ratio(rounds: Rounds, peer: Peer, references: tuple[Peer, ...]) -> float | None:
    ratios = [
        figures[peer].cpu / figures[reference].cpu
        for figures in rounds for reference in references if peer in figures and reference in figures
    ]
    return statistics.median(ratios) if ratios else None


def _text(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
