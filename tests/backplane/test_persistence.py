"""A Redis that writes to disk what it holds of the chat: the operator is warned, once."""

import logging

import pytest

from tests.backplane.nodes import RECONNECTING, Node, on_loop, until
from tests.backplane.redis_server import RedisServer, needs_redis
from tests.backplane.test_redis_client import running
from webchat.backplane.persistence import warn_if_saved

pytestmark = needs_redis


@pytest.fixture
def said(caplog):
    """The level and text of the lines about files that were written to the log."""
    caplog.set_level(logging.INFO)
    return lambda: [(each.levelname, each.getMessage()) for each in caplog.records if "to disk" in each.getMessage()]


@pytest.fixture
def saving():
    """A Redis that saves as it does by default, and makes snapshots at the word of a test."""
    server = RedisServer("--save", "3600 1 300 100").start()
    yield server
    server.close()


async def check(server, rights: str = "+@all") -> None:
    """Look as a user with these rights."""
    server.call("ACL", "SETUSER", "webchat", "reset", "on", ">password", "~*", "&*", *rights.split())
    async with running(f"unix://webchat:password@{server.socket}") as (client, _, counts):
        await warn_if_saved(client)
        assert counts["refused"] == 0


@on_loop
async def test_a_redis_that_writes_nothing_is_not_mentioned(redis, said):
    await check(redis)
    assert said() == []


@on_loop
async def test_a_redis_that_makes_snapshots_is_warned_of_with_what_it_saves_and_what_to_set(saving, said):
    await check(saving)
    ((level, text),) = said()
    assert level == "WARNING" and "(save 3600 1 300 100)" in text
    assert "messages of rooms" in text and "tokens" in text and 'save "" and appendonly no' in text


@on_loop
async def test_a_redis_that_appends_to_a_file_is_warned_of(redis, said):
    redis.call("CONFIG", "SET", "appendonly", "yes")
    try:
        for rights, way in (("+@all", "(appendonly yes)"), ("+@all -config", "(appendonly yes)")):
            await check(redis, rights)
            level, text = said()[-1]
            assert level == "WARNING" and way in text
    finally:
        redis.call("CONFIG", "SET", "appendonly", "no")


@on_loop
async def test_a_redis_that_has_made_a_snapshot_is_warned_of_although_its_settings_are_hidden(saving, said):
    saving.call("SAVE")
    await check(saving, "+@all -config")
    ((level, text),) = said()
    assert level == "WARNING" and "(snapshots)" in text


@pytest.mark.parametrize("rights", ["+@all -config", "+@all -config -info"])
@on_loop
async def test_a_redis_that_does_not_say_is_no_warning_but_a_hint_and_counts_as_no_refusal(saving, said, rights):
    await check(saving, rights)
    ((level, text),) = said()
    assert level == "INFO" and "cannot be seen" in text and 'save "" and appendonly no' in text


@on_loop
async def test_a_node_warns_once_however_often_it_reconnects(saving, said):
    async with Node(saving.url, timing=RECONNECTING) as node:
        await until(said)
        saving.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(lambda: node.counts["reconnects"] == 1 and node.is_well)
        await node.login("ada")
    assert len(said()) == 1
