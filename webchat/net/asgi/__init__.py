"""Any ASGI application inside Tornado: `mount` it, and run its `Lifespan`."""

from webchat.net.asgi.lifespan import Lifespan
from webchat.net.asgi.mount import Mount, mount
from webchat.net.asgi.types import App, Disconnected, Message, Receive, Scope, Send
from webchat.net.asgi.websocket import Receiver, WebSocket, websocket_of

__all__ = [
    "App", "Disconnected", "Lifespan", "Message", "Mount", "Receive", "Receiver", "Scope", "Send", "WebSocket",
    "mount", "websocket_of",
]
