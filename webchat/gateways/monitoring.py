"""What looks after a server: `/healthz`, `/metrics`, and the counts behind them.

Counting is one addition to a dictionary's entry; names, help and text are made when somebody asks for them.
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from tornado.web import HTTPError

from webchat.gateways.pages import Plain, Rule
from webchat.net.proxies import Proxies


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


def routes(*, health: Callable[[], dict[str, Any]], registry: CollectorRegistry, proxies: Proxies | None = None,
           metrics_token: str | None = None) -> list[Rule]:
    """Tornado rules for `/healthz` and `/metrics`.

    `health` returns what `/healthz` says, as JSON, with at least a `status`. `/metrics` shows `registry`: to this
    machine alone, or, where there is a token, to whoever sends it.
    """
    guard = {"registry": registry, "proxies": proxies or Proxies(), "token": metrics_token}
    return [(r"/healthz", Health, {"health": health}), (r"/metrics", MetricsPage, guard)]


class Health(Plain):
    """Always 200: a server that lost its Redis still serves its own people, and a load balancer must keep it."""

    def initialize(self, health: Callable[[], dict[str, Any]]) -> None:
        self._health = health

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self._health()) + "\n")


class MetricsPage(Plain):
    """Prometheus' text format, for those who may read it."""

    def initialize(self, registry: CollectorRegistry, proxies: Proxies, token: str | None) -> None:
        self._registry, self._proxies, self._token = registry, proxies, token

    def get(self) -> None:
        if not self._allowed():
            raise HTTPError(403)
        self.set_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.set_header("Cache-Control", "no-store")
        self.finish(generate_latest(self._registry))

    def _allowed(self) -> bool:
        if self._token is None:
            return self._proxies.is_local(self.request)
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        sent = given.strip().encode("latin-1")  # as Tornado decoded it
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self._token.encode())
