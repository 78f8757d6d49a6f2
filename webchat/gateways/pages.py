"""The page and what looks after a server: `/chat/…`, `/healthz` and `/metrics`."""

import hmac
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from tornado.httputil import responses
from tornado.web import HTTPError, RequestHandler

from webchat.gateways import assets
from webchat.gateways.proxies import Proxies

ENTRY = "index.html"
HOME = f"/chat/{ENTRY}"
ICON = "/chat/favicon.svg"

REVALIDATE = "no-cache"
FOREVER = "public, max-age=31536000, immutable"

SECURITY = {
    "Content-Security-Policy": "; ".join((
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "font-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    )),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every response, errors included."""

VERSIONED = re.compile(r"(?P<version>[0-9a-f]{16})/(?P<name>.+)")

Rule = tuple[str, type[RequestHandler], dict[str, Any]]


def routes(*, health: Callable[[], dict[str, Any]], registry: CollectorRegistry, proxies: Proxies | None = None,
           metrics_token: str | None = None, static_root: Path | None = None) -> list[Rule]:
    """Tornado rules for everything here; give the application `NotFound` as its `default_handler_class`, too.

    `health` returns what `/healthz` says, as JSON, with at least a `status`. `/metrics` shows `registry`: to this
    machine alone, or, where there is a token, to whoever sends it. Raises FileNotFoundError where the page is missing.
    """
    tree = assets.load((static_root or assets.static_root()) / "chat", ENTRY)
    guard = {"registry": registry, "proxies": proxies or Proxies(), "token": metrics_token}
    return [
        (r"/(?:chat/?)?", Lead, {"to": HOME}),
        (r"/favicon\.ico", Lead, {"to": ICON}),
        (r"/chat/(.+)", Page, {"tree": tree}),
        (r"/healthz", Health, {"health": health}),
        (r"/metrics", MetricsPage, guard),
    ]


class Plain(RequestHandler):
    """GET and HEAD, the security headers on every answer, and errors as one line of text."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in SECURITY.items():
            self.set_header(name, value)

    def head(self, *args: str) -> None:
        """GET without its body, which Tornado leaves out by itself."""
        self.get(*args)

    def compute_etag(self) -> str | None:
        """None: only what a client keeps has one."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        self.finish(f"{status_code} {responses.get(status_code, 'Error')}\n")


class Lead(Plain):
    """Leads to another address: the page from `/`, `/chat` and `/chat/`, its icon from where browsers look unasked."""

    def initialize(self, to: str) -> None:
        self._to = to

    def get(self) -> None:
        self.set_header("Cache-Control", REVALIDATE)
        self.redirect(self._to)


class NotFound(Plain):
    """Any address that nothing stands at."""

    def prepare(self) -> None:
        raise HTTPError(404)


class Page(Plain):
    """A file of the page, from memory.

    `/chat/VERSION/…` never changes and is kept by browsers for good; any other address is asked about again each time,
    and answered with 304 where nothing changed. Under a version that is not ours the current file is given and not
    kept: while servers behind one address are replaced one by one, a page from one loads its files from another.
    """

    def initialize(self, tree: assets.Tree) -> None:
        self._tree = tree
        self._etag = ""

    def get(self, path: str) -> None:
        versioned = VERSIONED.fullmatch(path)
        name = versioned["name"] if versioned else path
        asset = self._tree.assets.get(name)
        if asset is None or versioned and name == ENTRY:
            raise HTTPError(404)
        current = versioned is not None and versioned["version"] == self._tree.version
        body, self._etag, coding = asset.coded(_reads_gzip(self.request.headers.get("Accept-Encoding", "")))
        self.set_header("Content-Type", asset.type)
        self.set_header("Cache-Control", FOREVER if current else REVALIDATE)
        self.set_header("Vary", "Accept-Encoding")
        if coding:
            self.set_header("Content-Encoding", coding)
        self.finish(body)

    def compute_etag(self) -> str:
        """The file's own; Tornado compares it with `If-None-Match` and answers 304."""
        return self._etag


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


def _reads_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3): named, or by `*`, and with a weight above zero."""
    weights = {}
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        weights[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get("gzip", weights.get("*", False))
