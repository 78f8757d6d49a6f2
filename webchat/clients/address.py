"""Where a chat is reached, as people write it down."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LINES_PORT = 7007

_WEBSOCKET = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; with a `url`, that of a WebSocket there."""

    host: str
    port: int
    url: str | None = None

    def __str__(self) -> str:
        return self.url or f"{bracketed(self.host)}:{self.port}"


def parse(text: str, port: int = LINES_PORT) -> Address:
    """Read `HOST`, `HOST:PORT`, `[::1]:7007` or `tcp://…` as an address of lines, `ws://…`, `wss://…` as a WebSocket.

    Where none is given, the port is `port`. The page's own `http://…` leads to the WebSocket beside it.
    Raises ValueError with a sentence.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "tcp", scheme
    if scheme == "tcp":
        parts = _split(f"//{bracketed(rest)}", text)
        return Address(parts.hostname, _port(parts, text) or port)
    if scheme not in _WEBSOCKET:
        raise ValueError(f"{text} is no address of a chat: HOST, HOST:PORT or ws://HOST:PORT/ws.")
    parts, kind = _split(text.strip(), text), _WEBSOCKET[scheme]
    given = _port(parts, text)
    path = parts.path if kind == scheme and parts.path.strip("/") else "/ws"
    netloc = bracketed(parts.hostname) + (f":{given}" if given else "")
    return Address(parts.hostname, given or {"ws": 80, "wss": 443}[kind], f"{kind}://{netloc}{path}")


def bracketed(host: str) -> str:
    """An IPv6 address in the brackets that a port may follow (RFC 3986, section 3.2.2); any other host as it is."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _split(url: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or "@" in parts.netloc or any(char.isspace() for char in text.strip()):
        raise ValueError(f"{text!r} names no host.")
    return parts


def _port(parts: SplitResult, text: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"{text} has no port between 1 and 65535 after its colon.")
    return port
