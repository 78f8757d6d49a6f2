"""Which web pages may speak to us through their reader's browser."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit


class Origins:
    """The same origin, and those that the operator allowed.

    A browser states the page's origin (RFC 6454) in every WebSocket handshake and cross-origin request; other programs
    send none, and are let in. `*` in `allowed` lets every page in.
    """

    def __init__(self, allowed: Iterable[str] = ()):
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with these `Origin` and `Host` headers is welcome.

        The scheme is not compared: behind a proxy that ends TLS we see plain HTTP.
        """
        if origin is None or "*" in self._allowed:
            return True
        origin = origin.lower()
        return origin in self._allowed or bool(host) and _host(origin) == host.lower()

    def allows_request(self, origin: str | None, environ: Mapping[str, Any]) -> bool:
        """The same, as python-engineio asks it."""
        return self.allows(origin, environ.get("HTTP_HOST"))


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
