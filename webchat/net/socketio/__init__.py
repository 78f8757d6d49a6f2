"""A Socket.IO server (protocol revision 5) that keeps to the protocol and encodes each event once."""

from webchat.net.socketio.server import AsyncServer, Manager

__all__ = ["AsyncServer", "Manager"]
