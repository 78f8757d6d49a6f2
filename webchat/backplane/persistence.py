"""Whether a Redis writes what it holds to disk. Nothing of a chat should be stored, so the operator is told."""

import logging

from redis.exceptions import ResponseError

from webchat.backplane.redis_client import RedisClient

log = logging.getLogger(__name__)

SAVES = ("This Redis writes to disk (%s): the last messages of rooms, the names of the people and the tokens that "
         "prove them can stay in its files. Set save \"\" and appendonly no in redis.conf.")
UNKNOWN = ("Whether this Redis writes to disk cannot be seen, because webchat may not run CONFIG GET there. "
           "Nothing of the chat is saved with save \"\" and appendonly no in redis.conf.")


async def warn_if_saved(client: RedisClient) -> None:
    """Write a warning to the log if Redis writes to disk, or a hint if that cannot be seen. Raises Unreachable."""
    try:
        ways = await _configured(client)
    except ResponseError:
        try:
            ways = await _observed(client)
        except ResponseError:
            ways = []
        if not ways:
            log.info(UNKNOWN)
    if ways:
        log.warning(SAVES, "; ".join(ways))


async def _configured(client: RedisClient) -> list[str]:
    """The settings by which Redis writes to disk. Raises ResponseError if they may not be read."""
    reply = await client.ask("CONFIG", "GET", "save", "appendonly")
    settings = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    return [f"{name} {value}" for name, value in sorted(settings.items()) if value not in ("", "no")]


async def _observed(client: RedisClient) -> list[str]:
    """The ways in which Redis is seen to write to disk; there can be others. Raises ResponseError."""
    facts = dict(line.split(b":", 1) for line in (await client.ask("INFO", "persistence")).split() if b":" in line)
    return [fact for fact, name in (("appendonly yes", b"aof_enabled"), ("snapshots", b"rdb_saves"))
            if facts.get(name, b"0") != b"0"]
