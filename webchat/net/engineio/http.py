"""The HTTP side of Engine.IO: what a request asks for, and how it is answered or refused."""

import json
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

VERSION = "4"
"""The protocol revision that we speak; the query calls it `EIO`."""

MAX_QUERY = 4096
"""Characters of a query that are looked at."""

METHODS = frozenset({"GET", "POST", "OPTIONS"})

PLAIN = [("Content-Type", "text/plain; charset=UTF-8"), ("Cache-Control", "no-store")]
JSON = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]


class Refusal(Exception):
    """A request that is answered with an error and leaves nothing behind; `code` is that of the reference server."""

    def __init__(self, message: str, code: int = 3, status: int = 400):
        super().__init__(message)
        self.status = status
        self.body = json.dumps({"code": code, "message": message}).encode()


class Ask(NamedTuple):
    """What the query of a request asks for."""

    method: str
    transport: str
    sid: str | None


class Request:
    """One ASGI request, HTTP or WebSocket, and its answer. `environ` is what handlers get (PEP 3333, extended)."""

    __slots__ = ("environ", "is_websocket", "receive", "scope", "send")

    def __init__(self, scope: dict, receive: Any, send: Any):
        self.scope = scope
        self.receive = receive
        self.send = send
        self.is_websocket = scope["type"] == "websocket"
        self.environ = _environ(scope, receive, send)

    def ask(self, transports: list[str]) -> Ask:
        """Read the query. Raises Refusal."""
        query = _parsed(self.environ["QUERY_STRING"][:MAX_QUERY])
        method, transport, sid = self.environ["REQUEST_METHOD"], query.get("transport"), query.get("sid")
        if "j" in query:
            raise Refusal("JSONP is not supported")
        if transport not in transports:
            raise Refusal("Transport unknown", 0)
        if method not in METHODS or method == "POST" and sid is None:
            raise Refusal("Bad handshake method", 2)
        if sid is None and method == "GET":
            _check_version(query.get("EIO", ""))
        if method != "OPTIONS" and self.is_websocket != (transport == "websocket"):
            raise Refusal("The transport does not match the request")
        return Ask(method, transport, sid)

    async def body(self, limit: float) -> bytes:
        """The body, chunked or not. Raises Refusal if it is larger than `limit`, ConnectionError if it breaks off."""
        length = self.environ.get("CONTENT_LENGTH", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > limit):
            raise Refusal("The body is too large", status=413)
        parts, size, more = [], 0, True
        while more:
            event = await self.receive()
            if event["type"] != "http.request":
                raise ConnectionError("the client is gone")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            more = event.get("more_body", False)
            if size > limit:
                raise Refusal("The body is too large", status=413)
        return b"".join(parts)

    async def respond(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        """Answer; on a WebSocket that has not been accepted, in its place."""
        kind = "http.response"
        if self.is_websocket:
            kind = "websocket.http.response"
            if kind not in (self.scope.get("extensions") or {}):
                await self.send({"type": "websocket.close"})  # which an ASGI server answers with 403
                return
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": f"{kind}.start", "status": status, "headers": raw})
        await self.send({"type": f"{kind}.body", "body": body})


@lru_cache(100)
def _parsed(query: str) -> dict[str, str]:
    """The fields of a query; most handshakes have the same one."""
    return dict(parse_qsl(query, keep_blank_values=True))


def _check_version(version: str) -> None:
    if version == VERSION:
        return
    asked = f"speaks version {version}" if version.isdecimal() and len(version) < 4 else "names no version"
    older = ", that of Socket.IO 2 and older" if version in ("1", "2", "3") else ""
    raise Refusal(
        f"This server speaks Engine.IO version {VERSION}, that of Socket.IO 3 and later; your client {asked}{older}.", 5
    )


def _environ(scope: dict, receive: Any, send: Any) -> dict[str, Any]:
    """The environment of a request as upstream's handlers know it, with the peer's real address."""
    address, port = scope.get("client") or ("", 0)
    query = scope.get("query_string", b"").decode("latin-1")
    environ = {
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
        key = _environ_key(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if "HTTP_X_FORWARDED_PROTO" in environ:
        environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"].partition(",")[0].strip()
    return environ


@lru_cache(1000)
def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
