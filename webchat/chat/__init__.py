"""The chat itself: people, rooms and messages. It does no I/O: no sockets, no Tornado, no asyncio, no Redis."""
