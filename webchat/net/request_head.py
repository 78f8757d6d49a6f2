"""The head of a request, as RFC 9112 understands it: what is asked for, of which host, and how the body is framed."""

import re
from http.client import responses
from typing import NamedTuple

from tornado.httputil import HTTPHeaders, RequestStartLine

from webchat.net.hosts import host_name

ABSOLUTE = re.compile(r"https?://([^/?#]+)([^#]*)", re.IGNORECASE)
"""The absolute form of a target, which clients use with proxies (RFC 9112 section 3.2.2)."""

LENGTH = re.compile(r"([0-9]+)(?:[ \t]*,[ \t]*\1)*")
"""A Content-Length; equal ones, combined by a proxy, are one (RFC 9112 section 6.3)."""

MAX_DIGITS = 18
"""Digits of a Content-Length that are read; nobody takes a body with more."""

CHUNKED = -1
"""The size of a body whose chunks tell it."""


_EMPTY_LINE = re.compile(rb"\n\r?\n")
_ANYTHING = re.compile(rb"(?s:.*)")


class HeadEnd:
    """Finds where a head ends, or gives it up beyond `limit` bytes. Each byte is examined once, however it arrives.

    Tornado's streams use it like a pattern.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._searched = 0

    def search(self, received: bytearray) -> re.Match[bytes] | None:
        """Look at all that has been received so far; return a match that ends where reading the head ends."""
        end = _EMPTY_LINE.search(received, max(self._searched - 2, 0))
        self._searched = len(received)
        return end or (_ANYTHING.match(received) if len(received) > self._limit else None)


class RequestRefused(Exception):
    """A request that is answered with an error before anybody else hears of it; the text is a sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status

    @property
    def body(self) -> bytes:
        return f"{self.status} {responses[self.status]}: {self}\n".encode()


class RequestHead(NamedTuple):
    """A request whose head has been checked.

    `start_line` has a path (or `*`, or CONNECT's authority), and version 1.0 or 1.1. `host` is as `host_name` returns
    it, None if an HTTP/1.0 client named none. `body` is the body's size in bytes, or CHUNKED.
    """

    start_line: RequestStartLine
    host: str | None
    body: int
    keeps_alive: bool


def check(start_line: RequestStartLine, headers: HTTPHeaders) -> RequestHead:
    """Check a request's head, and bring its headers into the form that handlers expect. Raises RequestRefused."""
    method, target, version = start_line
    is_old = version == "HTTP/1.0"
    target, authority = _target(method, target)
    hosts = headers.get_list("Host")
    if len(hosts) > 1 or not (hosts or is_old):
        raise RequestRefused(400, "A request has exactly one Host header.")
    if authority is not None:
        hosts = [authority]
        headers["Host"] = authority  # RFC 9112 section 3.2.2
    try:
        host = host_name(hosts[0]) if hosts else None
    except ValueError:
        raise RequestRefused(400, "The Host header is malformed.") from None
    options = _list(headers.get("Connection", ""))
    keeps_alive = "close" not in options and (not is_old or "keep-alive" in options)
    if is_old:
        headers["Connection"] = "keep-alive" if keeps_alive else "close"  # the spelling that Tornado compares with
        for name in ("Upgrade", "Expect"):  # RFC 9110 sections 7.8 and 10.1.1: ignored in HTTP/1.0
            if name in headers:
                del headers[name]
    else:
        version = "HTTP/1.1"  # of which later ones are extensions (RFC 9110 section 2.5)
    start_line = RequestStartLine(method, target, version)
    return RequestHead(start_line, host, _body(headers, is_old), keeps_alive)


def _target(method: str, target: str) -> tuple[str, str | None]:
    """The path of a target, and the authority if the target has one (RFC 9112 section 3.2)."""
    if target.startswith("/") or method == "CONNECT" or (method, target) == ("OPTIONS", "*"):
        return target, None
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RequestRefused(400, "The target of a request is a path.")
    authority, path = absolute.groups()
    if not path and method == "OPTIONS":
        path = "*"
    return path if path.startswith(("/", "*")) else f"/{path}", authority


def _body(headers: HTTPHeaders, is_old: bool) -> int:
    """The size of the body (RFC 9112 sections 6.1 to 6.3). Whoever frames it in two ways may smuggle a request."""
    if "Transfer-Encoding" in headers:
        if is_old or "Content-Length" in headers:
            raise RequestRefused(400, "The end of the body is ambiguous.")
        if headers["Transfer-Encoding"].lower() != "chunked":
            raise RequestRefused(501, "The only transfer coding here is chunked.")
        return CHUNKED
    if "Content-Length" not in headers:
        return 0
    length = LENGTH.fullmatch(headers["Content-Length"])
    if length is None:
        raise RequestRefused(400, "A Content-Length is one number.")
    if len(length[1]) > MAX_DIGITS:
        raise RequestRefused(413, "The body is too large.")
    headers["Content-Length"] = length[1]
    return int(length[1])


def _list(value: str) -> set[str]:
    """The items of a header whose value is a list of words (RFC 9110 section 5.6.1)."""
    return {word.strip(" \t").lower() for word in value.split(",")}
