"""Refuses long-polling at an Engine.IO endpoint that cannot serve it, and says why."""

import json
from urllib.parse import parse_qs

from webchat.net.asgi import App, Receive, Scope, Send

HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"),
           (b"x-content-type-options", b"nosniff")]

SHARED_PORT = (
    "This server runs several processes on one port, and each request of a long-polling session would reach any of "
    "them: connect with the WebSocket transport, or through a proxy that gives each process a port of its own."
)


def websocket_only(app: App, reason: str = SHARED_PORT) -> App:
    """Return the same application, except that a long-polling request is answered with 400 and the reason.

    The answer has the form of Engine.IO's own, with the code of an unknown transport (0).
    """
    body = json.dumps({"code": 0, "message": reason}).encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if scope["type"] != "http" or query.get("transport") != ["polling"]:
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 400, "headers": HEADERS})
        await send({"type": "http.response.body", "body": body})

    return guarded
