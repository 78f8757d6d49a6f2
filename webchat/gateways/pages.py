"""The page: serves `/chat/…` from memory."""

import logging
import re
from http.client import responses
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any

from tornado.web import HTTPError, RequestHandler

import webchat
from webchat.net import assets

log = logging.getLogger(__name__)

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
"""Headers of every response, errors included."""

VERSIONED = re.compile(r"(?P<version>[0-9a-f]{16})/(?P<name>.+)")

Rule = tuple[str, type[RequestHandler], dict[str, Any]]


def routes(static_root: Path | None = None) -> list[Rule]:
    """Return the Tornado rules for the page. Use `NotFound` as the application's `default_handler_class`.

    `static_root` is the folder that contains `chat/`. Raises FileNotFoundError if the page is missing.
    """
    tree = assets.load((static_root or find_static_root()) / "chat", ENTRY)
    return [
        (r"/(?:chat/?)?", Redirect, {"to": HOME}),
        (r"/favicon\.ico", Redirect, {"to": ICON}),
        (r"/chat/(.+)", PageFile, {"tree": tree}),
    ]


def find_static_root() -> Path:
    """Return the folder that contains `chat/`: inside the installed package, or next to it in a checkout."""
    packaged = Path(str(files(webchat))) / "static"
    return packaged if packaged.is_dir() else Path(webchat.__file__).parents[1] / "static"


class PlainHandler(RequestHandler):
    """Allows GET and HEAD, sends the security headers with every response, and errors as one line of text."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in SECURITY.items():
            self.set_header(name, value)

    def head(self, *args: str) -> None:
        """Do the same as GET; Tornado leaves out the body."""
        self.get(*args)

    def compute_etag(self) -> str | None:
        """Return None: by default nothing is cached."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        self.finish(f"{status_code} {responses.get(status_code, 'Error')}\n")

    def log_exception(self, kind: type[BaseException] | None, error: BaseException | None,
                      traceback: TracebackType | None) -> None:
        """Log mistakes of ours only, and without the request: it would tell who was here."""
        if not isinstance(error, HTTPError):
            log.error("A page could not be served", exc_info=error)


class Redirect(PlainHandler):
    """Redirects `/`, `/chat` and `/chat/` to the page, and `/favicon.ico`, which browsers request, to its icon."""

    def initialize(self, to: str) -> None:
        self._to = to

    def get(self) -> None:
        self.set_header("Cache-Control", REVALIDATE)
        self.redirect(self._to)


class NotFound(PlainHandler):
    """Answers every other address with 404."""

    def prepare(self) -> None:
        raise HTTPError(404)


class PageFile(PlainHandler):
    """Serves a file of the page from memory.

    The content of `/chat/VERSION/…` never changes, so browsers cache it forever. They revalidate any other address each
    time, and get 304 if nothing has changed. An unknown version gets the current file, without caching: while servers
    behind one address are updated one by one, the page from one server may load its files from another.
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
        body, self._etag, coding = asset.coded(_accepts_gzip(self.request.headers.get("Accept-Encoding", "")))
        self.set_header("Content-Type", asset.type)
        self.set_header("Cache-Control", FOREVER if current else REVALIDATE)
        self.set_header("Vary", "Accept-Encoding")
        if coding:
            self.set_header("Content-Encoding", coding)
        self.finish(body)

    def compute_etag(self) -> str:
        """Return the file's ETag. Tornado compares it with `If-None-Match`, and answers 304 if they are equal."""
        return self._etag


def _accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client accepts gzip, by name or by `*`, with a weight above zero (RFC 9110, 12.5.3)."""
    weights = {}
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        weights[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get("gzip", weights.get("*", False))
