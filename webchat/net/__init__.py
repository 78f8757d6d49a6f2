"""Networking that knows no chat: ASGI in Tornado, Engine.IO, Socket.IO, WebSocket frames, the outgoing queue."""
