"""ASGI's types (asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format" 2.4)."""

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
"""What is known of a connection; the keys are the specification's."""

Message = dict[str, Any]
"""One event between server and application, with a `type`."""

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Disconnected(OSError):
    """The application sends to a client that is gone."""
