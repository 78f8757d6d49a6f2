"""A chart of the cost by number of listeners, as SVG that is readable on light and dark pages."""

import math
from html import escape

from benchmarks.peers import Peer
from benchmarks.report import Rounds, median

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 48, 56
COLOURS = ("#7d8590", "#0b8a84", "#d1495b", "#c77800", "#8f5bd6")
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #ddd } .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
"""

Points = list[tuple[float, float]]


def svg(sweep: dict[int, Rounds], peers: tuple[Peer, ...]) -> str:
    """The chart as an SVG document. `sweep` has the figures by number of listeners; both axes are logarithmic."""
    lines: dict[str, Points] = {}
    for peer in peers:
        costs = {listeners: median(rounds, peer, lambda figure: figure.cpu) for listeners, rounds in sweep.items()}
        if points := [(float(listeners), cost) for listeners, cost in costs.items() if cost is not None]:
            lines[peer.name] = points
    axes = _Axes([point for points in lines.values() for point in points])
    body = [*axes.draw(list(sweep)), *_draw(lines, axes)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        f'<title id="title">{_summary(lines)}</title>', f"<style>{STYLE}</style>",
        _text(LEFT, 24, "Server CPU for each delivered message, one speaker", "start", "title"), *body, "</svg>\n",
    ])


class _Axes:
    """Maps values to places in the chart."""

    def __init__(self, points: Points):
        listeners, costs = zip(*points, strict=True)
        self._x = math.log(min(listeners)), math.log(max(listeners))
        self._y = math.log(min(costs) / 1.3), math.log(max(costs) * 1.3)

    def place(self, listeners: float, cost: float) -> tuple[float, float]:
        across = _share(math.log(listeners), self._x) * (WIDTH - LEFT - RIGHT)
        up = _share(math.log(cost), self._y) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 1), round(HEIGHT - BOTTOM - up, 1)

    def draw(self, listeners: list[int]) -> list[str]:
        marks = [cost for cost in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if self._y[0] <= math.log(cost) <= self._y[1]]
        drawn = []
        for cost in marks:
            _, y = self.place(listeners[0], cost)
            drawn.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
            drawn.append(_text(LEFT - 8, y + 4, f"{cost:g} µs", "end"))
        for each in listeners:
            x, _ = self.place(each, marks[0] if marks else 1)
            drawn.append(_text(x, HEIGHT - BOTTOM + 22, f"{each:,}"))
        return [*drawn, _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "listeners")]


def _draw(lines: dict[str, Points], axes: _Axes) -> list[str]:
    drawn = []
    ends = spread_labels({name: axes.place(*points[-1]) for name, points in lines.items()})
    for (name, points), colour in zip(lines.items(), COLOURS, strict=False):
        places = [axes.place(*point) for point in points]
        path = "L".join(f"{x} {y}" for x, y in places)
        drawn.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        drawn += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in places]
        x, y = ends[name]
        drawn.append(_text(x + 10, y + 4, name, "start"))
    return drawn


def spread_labels(ends: dict[str, tuple[float, float]], gap: float = 16) -> dict[str, tuple[float, float]]:
    """The places of the labels, moved down where two would overlap."""
    placed: dict[str, tuple[float, float]] = {}
    lowest = -math.inf
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        lowest = max(y, lowest + gap)
        placed[name] = x, lowest
    return placed


def _summary(lines: dict[str, Points]) -> str:
    ends = []
    for name, points in lines.items():
        listeners, cost = points[-1]
        ends.append(f"{escape(name)}: {cost:.1f} µs at {listeners:,.0f} listeners")
    return "Server CPU for each delivered message. " + "; ".join(ends)


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _share(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return (value - low) / (high - low) if high > low else 0.5
