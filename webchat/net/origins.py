"""Which web pages may connect to this server from a browser."""

from collections.abc import Iterable, Mapping
from typing import Any


class Origins:
    """Allows pages of the server's own origin, and of the origins in `allowed`, such as `https://example.org`.

    A browser sends the origin of the page (RFC 6454) with every WebSocket handshake and cross-origin request. Other
    programs send none, and are allowed. `*` in `allowed` allows every page.
    """

    def __init__(self, allowed: Iterable[str] = ()):
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether to serve a request with these `Origin` and `Host` headers.

        The scheme is not compared with the server's own: behind a proxy that ends TLS, requests arrive as plain HTTP.
        """
        if origin is None or "*" in self._allowed:
            return True
        origin = origin.lower()
        return origin in self._allowed or bool(host and _host(origin) == host.lower())

    def allows_request(self, origin: str | None, environ: Mapping[str, Any]) -> bool:
        """The same with the signature that python-engineio expects; `environ` is the request's WSGI environment."""
        return self.allows(origin, environ.get("HTTP_HOST"))


def _host(origin: str) -> str:
    """The host and port of an origin; empty if it has none. (`urlsplit` would keep what strangers send in a cache.)"""
    return origin.partition("://")[2]
