"""Monitoring: `/healthz`, `/metrics`, and the counts that they show.

To count is to increment a value in a dictionary. Names, help texts and output are made only on request.
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from tornado.web import HTTPError

from webchat.gateways.pages import PlainHandler, Rule
from webchat.net.proxies import Proxies


class Family(NamedTuple):
    """One metric: the attribute of `Metrics` with its counts, the label that distinguishes them, and its help text."""

    attribute: str
    label: str
    help: str


COUNTERS = (
    Family("messages", "kind", "Messages sent through this server: to everyone, in a room, or to one user."),
    Family("refusals", "code", "Requests refused, logins included, by the error code sent to the client."),
    Family("backplane", "event", "Events between this server and the others."),
)


class Metrics:
    """The server's counts: `metrics.messages["room"] += 1`.

    Each attribute named in COUNTERS maps a value of the label to a number that only grows, starting at 0. A component
    that keeps such counts itself can assign its own mapping. Values that have never been counted are not shown.
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
        """Show a number that is kept elsewhere and read on each request: `watch("users", "…", lambda: len(users))`."""
        self._watched[name] = help, read

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as metric families (`prometheus_client.registry.Collector`)."""
        for family in COUNTERS:
            metric = CounterMetricFamily(f"webchat_{family.attribute}", family.help, labels=[family.label])
            for value, count in sorted(getattr(self, family.attribute).items()):
                metric.add_metric([value], count)
            if metric.samples:
                yield metric
        for name, (help, read) in self._watched.items():
            yield GaugeMetricFamily(f"webchat_{name}", help, value=read())

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not call `collect` before the counts exist."""
        return []


class Health(NamedTuple):
    """What `/healthz` tells everybody, strangers too: whether it works, and nothing of what it is made of.

    `uptime` is in whole seconds. Reasons go to the log, numbers to `/metrics`.
    """

    status: str
    version: str
    uptime: int
    users: int


def routes(*, health: Callable[[], Health], registry: CollectorRegistry, proxies: Proxies | None = None,
           metrics_token: str | None = None) -> list[Rule]:
    """Return the Tornado rules for `/healthz` and `/metrics`.

    `/healthz` shows what `health` returns, as JSON. `/metrics` shows `registry` to requests
    that carry `metrics_token`, or, without a token, to requests from this machine.
    """
    guard = {"registry": registry, "proxies": proxies or Proxies(), "token": metrics_token}
    return [(r"/healthz", HealthPage, {"health": health}), (r"/metrics", MetricsPage, guard)]


class HealthPage(PlainHandler):
    """Answers always with 200: a load balancer must keep a server without Redis, which still serves its clients."""

    def initialize(self, health: Callable[[], Health]) -> None:
        self._health = health

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self._health()._asdict()) + "\n")


class MetricsPage(PlainHandler):
    """Shows the metrics in Prometheus' text format to authorised clients."""

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
        sent = given.strip().encode("latin-1")  # Tornado decodes headers as Latin-1
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self._token.encode())
