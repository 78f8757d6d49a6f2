"""A Socket.IO server (protocol revision 5) that keeps to the protocol and encodes each event once."""

from webchat.net.socketio.client import Socket
from webchat.net.socketio.manager import Manager
from webchat.net.socketio.server import AsyncServer

__all__ = ["AsyncServer", "Manager", "Socket"]
