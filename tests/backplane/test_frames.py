"""Frames that no node of this chat sent, or that were recorded and sent again: they do nothing and are counted."""

import asyncio
import random

import pytest

from tests.backplane.nodes import QUIET, RECONNECTING, Node, on_loop, texts, until
from tests.backplane.redis_server import needs_redis
from webchat.chat.errors import NameTaken
from webchat.chat.events import ChatMessage, Join
from webchat.codecs.node import NodeCodec, NodeMessage

pytestmark = needs_redis

ROOM = "Taskmaster"


def signed(key: str, text: str = "forged") -> bytes:
    """A frame with a message, signed with a key, for the channel of everyone."""
    (frame,) = NodeCodec("f" * 16, key).encode("webchat:all", [
        NodeMessage("everyone", ChatMessage("f" * 24, 0, "admin", True, text))])
    return frame


async def publish(redis, frame: bytes, channel: str = "webchat:all") -> None:
    _, writer = await asyncio.open_unix_connection(redis.socket)
    writer.write(b"*3\r\n$8\r\nSPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        len(channel), channel.encode(), len(frame), frame))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@on_loop
async def test_a_frame_that_is_not_signed_with_the_key_is_dropped_and_counted(redis):
    async with Node(redis.url, timing=QUIET) as node:
        ada = await node.login("ada")
        junk = (b"", b"junk", signed("another key"), b"\x80" + signed("another key"), bytes(300_000),
                random.randbytes(500))
        for count, frame in enumerate(junk, 1):
            await publish(redis, frame)
            await until(lambda count=count: node.counts["junk"] == count)
        assert (texts(ada), node.users(), node.counts["received"]) == ([], {"ada"}, 0)


@on_loop
async def test_a_recorded_frame_does_nothing_when_it_is_sent_again_or_on_another_channel(redis):
    async with Node(redis.url, timing=QUIET) as node:
        ada = await node.login("ada")
        frame = signed("secret", "once")
        await publish(redis, frame)
        await until(lambda: texts(ada) == ["once"])
        for count, channel in enumerate(("webchat:all", f"webchat:{{node:{node.backplane.node}}}"), 1):
            await publish(redis, frame, channel)
            await until(lambda count=count: node.counts["junk"] == count)
        assert texts(ada) == ["once"]


@on_loop
async def test_an_item_that_cannot_be_processed_is_logged_and_the_next_ones_are(redis, caplog):
    async with Node(redis.url, timing=QUIET) as node:
        ada = await node.login("ada")
        ada.outlet.send = None  # a bug, for one message
        await publish(redis, signed("secret"))
        (record,) = await until(lambda: [each for each in caplog.records if each.levelname == "ERROR"])
        assert record.exc_info[0] is TypeError
        del ada.outlet.send
        (frame,) = NodeCodec("e" * 16, "secret").encode("webchat:all", [
            NodeMessage("everyone", ChatMessage("e" * 24, 0, "admin", True, "next"))])
        await publish(redis, frame)
        await until(lambda: texts(ada) == ["next"])
        assert node.is_well


@on_loop
async def test_nodes_with_different_keys_do_not_hear_each_other_but_share_the_names(redis):
    async with Node(redis.url, "one", RECONNECTING) as one, Node(redis.url, "two", RECONNECTING) as two:
        await one.login("ada")
        await until(lambda: two.counts["junk"])
        assert two.users() == set()
        with pytest.raises(NameTaken):
            await two.login("ada")


@on_loop
async def test_chats_in_different_databases_of_one_redis_share_nothing(redis):
    async with (Node(f"{redis.url}?db=0", timing=RECONNECTING) as one, Node(f"{redis.url}?db=1", timing=QUIET) as two,
                Node(f"{redis.url}?db=1", timing=QUIET) as three):
        ada = await one.login("ada")
        await two.login("ada")
        await until(lambda: three.users() == {"ada"})
        before = two.counts["received"]
        await one.say(ada, "hello")
        await three.login("bob")
        await until(lambda: two.users() == {"ada", "bob"})
        assert (one.users(), two.counts["received"] - before, two.counts["junk"]) == ({"ada"}, 1, 0)


@on_loop
async def test_junk_in_a_rooms_history_is_left_out_and_counted(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex = await one.login("Alex", "password")
        await one.do(alex, Join(ROOM))
        await one.say(alex, "true", ROOM)
        await until(lambda: b"true" in redis.call("ZRANGE", f"webchat:{{room:{ROOM}}}:history", "0", "-1"))
        redis.call("ZADD", f"webchat:{{room:{ROOM}}}:history", "0", "junk")
        joined = await two.do(await two.login("Sue", "password"), Join(ROOM))
        assert [message.text for message in joined.history] == ["true"]
        assert two.counts["junk"] == 1
