"""The address of a chat, as people write it."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LINES_PORT = 7007

_WEBSOCKET_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port. With a `url` it is the address of a WebSocket, without one that of a TCP port.

    `tls` is for TCP ports; the URL of a WebSocket has it in its scheme.
    """

    host: str
    port: int
    url: str | None = None
    tls: bool = False

    def __str__(self) -> str:
        return self.url or f"{'tls://' * self.tls}{bracketed(self.host)}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken there."""
        return self.tls or (self.url or "").startswith("wss:")

    @property
    def with_tls(self) -> str:
        """The same address with TLS, as people write it."""
        return self.url.replace("ws:", "wss:", 1) if self.url else f"tls://{bracketed(self.host)}:{self.port}"

    @property
    def without_tls(self) -> str:
        """The same address without TLS, as people write it."""
        return self.url.replace("wss:", "ws:", 1) if self.url else f"tcp://{bracketed(self.host)}:{self.port}"


def parse(text: str, port: int = LINES_PORT) -> Address:
    """Read `HOST`, `HOST:PORT`, `[::1]:7007` or `tcp://…` as a TCP address, `tls://…` as one with TLS, `ws://…` or
    `wss://…` as a WebSocket's.

    `port` is used for a TCP address without a port. The URL of the web page, `http://…` or `https://…`, becomes that of
    the WebSocket on the same server. Raises ValueError with a sentence for people.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator:
        scheme, rest = "tcp", text.strip()
    if scheme in ("tcp", "tls"):
        host, parts = _split(f"//{bracketed(rest)}", text)
        return Address(host, _port(parts, text) or port, tls=scheme == "tls")
    if scheme not in _WEBSOCKET_SCHEMES:
        raise ValueError(f"{text} is no address of a chat: HOST, HOST:PORT, tls://HOST:PORT or ws://HOST:PORT/ws.")
    host, parts = _split(text.strip(), text)
    websocket_scheme, given_port = _WEBSOCKET_SCHEMES[scheme], _port(parts, text)
    path = parts.path if websocket_scheme == scheme and parts.path.strip("/") else "/ws"
    authority = bracketed(host) + (f":{given_port}" if given_port else "")
    return Address(host, given_port or _DEFAULT_PORTS[websocket_scheme], f"{websocket_scheme}://{authority}{path}")


def bracketed(host: str) -> str:
    """An IPv6 address in brackets, so that a port may follow (RFC 3986, section 3.2.2); any other host unchanged."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _split(url: str, text: str) -> tuple[str, SplitResult]:
    """The host of a URL, and all its parts. `text` is what the user wrote."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or "@" in parts.netloc or any(char.isspace() for char in text.strip()):
        raise ValueError(f"{text!r} names no host.")
    return parts.hostname, parts


def _port(parts: SplitResult, text: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"{text} has no port between 1 and 65535 after its colon.")
    return port
