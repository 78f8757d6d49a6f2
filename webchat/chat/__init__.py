"""The chat itself: people, rooms, messages. Knows no socket, no Tornado, no asyncio, no Redis."""
