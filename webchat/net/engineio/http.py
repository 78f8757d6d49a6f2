"""The HTTP side of Engine.IO: what a request asks for, and how it is answered."""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from webchat.net.asgi.types import Receive, Scope, Send
from webchat.net.header_names import HEADER_NAMES, KnownNames

PROTOCOL_VERSION = "4"
"""The protocol revision that this server supports; the query calls it `EIO`."""

MAX_QUERY = 4096
"""Characters of a query that are read."""

METHODS = frozenset({"GET", "POST", "OPTIONS"})

NO_STORE = ("Cache-Control", "no-store")
NO_SNIFF = ("X-Content-Type-Options", "nosniff")
PLAIN = [("Content-Type", "text/plain; charset=UTF-8"), NO_STORE, NO_SNIFF]
JSON = [("Content-Type", "application/json"), NO_STORE, NO_SNIFF]

Headers = list[tuple[str, str]]


class RequestError(Exception):
    """A request that is answered with an error and changes nothing; `code` is that of the reference server."""

    def __init__(self, message: str, code: int = 3, status: int = 400):
        super().__init__(message)
        self.status = status
        self.body = json.dumps({"code": code, "message": message}).encode()


class Query(NamedTuple):
    """What the query of a request asks for; `sid` is None if it opens a session."""

    method: str
    transport: str
    sid: str | None


class EngineRequest:
    """One ASGI request, HTTP or WebSocket, and its answer. `environ` is what handlers get (PEP 3333, extended)."""

    __slots__ = ("environ", "is_websocket", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self.scope = scope
        self.receive = receive
        self.send = send
        self.is_websocket = scope["type"] == "websocket"
        self.environ = _environ(scope, receive, send)

    def query(self, transports: list[str]) -> Query:
        """Read the query. Raises RequestError."""
        fields = dict(parse_qsl(self.environ["QUERY_STRING"][:MAX_QUERY], keep_blank_values=True))
        method, transport, sid = self.environ["REQUEST_METHOD"], fields.get("transport"), fields.get("sid")
        if "j" in fields:
            raise RequestError("JSONP is not supported")
        if transport not in transports:
            raise RequestError("Transport unknown", 0)
        if method not in METHODS or method == "POST" and sid is None:
            raise RequestError("Bad handshake method", 2)
        if sid is None and method == "GET" and fields.get("EIO") != PROTOCOL_VERSION:
            raise _wrong_version(fields.get("EIO", ""))
        if method != "OPTIONS" and self.is_websocket != (transport == "websocket"):
            raise RequestError("The transport does not match the request")
        return Query(method, transport, sid)

    async def body(self, limit: float) -> bytes:
        """Read the body, chunked or not.

        Raises RequestError if it is larger than `limit` bytes, ConnectionError if the client goes away.
        """
        length = self.environ.get("CONTENT_LENGTH", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > limit):
            raise RequestError("The body is too large", status=413)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            event = await self.receive()
            if event["type"] != "http.request":
                raise ConnectionError("the client is gone")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            more = event.get("more_body", False)
            if size > limit:
                raise RequestError("The body is too large", status=413)
        return b"".join(parts)

    async def respond(self, status: int, body: bytes, headers: Headers) -> None:
        """Answer; a WebSocket that has not been accepted is refused with this answer."""
        kind = "websocket.http.response" if self.is_websocket else "http.response"
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": f"{kind}.start", "status": status, "headers": raw})
        await self.send({"type": f"{kind}.body", "body": body})


def _wrong_version(version: str) -> RequestError:
    asked = f"speaks version {version}" if version.isdecimal() and len(version) < 4 else "names no version"
    older = ", that of Socket.IO 2 and older" if version in ("1", "2", "3") else ""
    return RequestError(
        f"This server speaks Engine.IO version {PROTOCOL_VERSION}, that of Socket.IO 3 and later; "
        f"your client {asked}{older}.", 5
    )


def _environ(scope: Scope, receive: Receive, send: Send) -> dict[str, Any]:
    """The environment of a request as python-engineio's handlers know it, with the peer's real address."""
    address, port = scope.get("client") or ("", 0)
    query = scope.get("query_string", b"").decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "PATH_INFO": scope["path"],
        "QUERY_STRING": query,
        "RAW_URI": f"{scope['path']}?{query}" if query else scope["path"],
        "SCRIPT_NAME": scope.get("root_path", ""),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "asgi",
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(port),
        "wsgi.url_scheme": "https" if scope.get("scheme") in ("https", "wss") else "http",
        "asgi.receive": receive,
        "asgi.send": send,
        "asgi.scope": scope,
    }
    for name, value in scope["headers"]:
        key = _ENVIRON_KEYS[name]
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if "HTTP_X_FORWARDED_PROTO" in environ:
        environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"].partition(",")[0].strip()
    return environ


def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_ENVIRON_KEYS = KnownNames(_environ_key, tuple(name.lower().encode() for name in HEADER_NAMES))
