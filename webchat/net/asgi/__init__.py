"""Any ASGI application inside Tornado: `mount` it, and run its `Lifespan`."""

from webchat.net.asgi.mount import Lifespan, Mount, mount

__all__ = ["Lifespan", "Mount", "mount"]
