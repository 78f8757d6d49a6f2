"""The page: `/chat/…`, from memory."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from tornado.httputil import responses
from tornado.web import HTTPError, RequestHandler

import webchat
from webchat.net import assets

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


def routes(static_root: Path | None = None) -> list[Rule]:
    """Tornado rules for the page; give the application `NotFound` as its `default_handler_class`, too.

    `static_root` is the folder that holds `chat/`. Raises FileNotFoundError where the page is missing.
    """
    tree = assets.load((static_root or find_static_root()) / "chat", ENTRY)
    return [
        (r"/(?:chat/?)?", Lead, {"to": HOME}),
        (r"/favicon\.ico", Lead, {"to": ICON}),
        (r"/chat/(.+)", Page, {"tree": tree}),
    ]


def find_static_root() -> Path:
    """The folder that holds `chat/`: inside the installed package, or beside it in a checkout."""
    packaged = Path(str(files(webchat))) / "static"
    return packaged if packaged.is_dir() else Path(webchat.__file__).parents[1] / "static"


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


def _reads_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3): named, or by `*`, and with a weight above zero."""
    weights = {}
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        weights[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get("gzip", weights.get("*", False))
