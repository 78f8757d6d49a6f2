"""An Engine.IO server (protocol revision 4) that keeps to the protocol, to its time and to its memory."""

from webchat.net.engineio.server import AsyncServer

__all__ = ["AsyncServer"]
