"""What the server counts, and Prometheus' view of it.

Counting is one addition to a dictionary's entry; names, help and text are made when somebody asks for them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Family(NamedTuple):
    """One metric: the attribute of `Metrics` that holds its counts, what they are told apart by, and its help."""

    attribute: str
    label: str
    help: str


COUNTERS = (
    Family("messages", "kind", "Messages said here: to everyone, in a room, or to one user."),
    Family("refusals", "code", "Requests refused, logins included, by the code that the client was told."),
    Family("backplane", "event", "What happened between this server and the others."),
)


class Metrics:
    """The server's counts: `metrics.messages["room"] += 1`.

    Each attribute named in COUNTERS maps a label's value to a number that only grows; a value not seen before counts as
    0. Whoever counts already may put its own mapping there. What has not been counted yet is not shown.
    """

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.backplane: Counter[str] = Counter()
        self._watched: dict[str, tuple[str, Callable[[], float]]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def watch(self, name: str, help: str, read: Callable[[], float]) -> None:
        """Show a number that is kept elsewhere, read only when asked for: `watch("users", "…", lambda: len(users))`."""
        self._watched[name] = help, read

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus' metric families (`prometheus_client.registry.Collector`)."""
        for family in COUNTERS:
            metric = CounterMetricFamily(f"webchat_{family.attribute}", family.help, labels=[family.label])
            for value, count in sorted(getattr(self, family.attribute).items()):
                metric.add_metric([value], count)
            if metric.samples:
                yield metric
        for name, (help, read) in self._watched.items():
            yield GaugeMetricFamily(f"webchat_{name}", help, value=read())

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not read counts that are not there yet."""
        return []
