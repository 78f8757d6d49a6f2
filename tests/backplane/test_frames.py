"""Frames that no node of this chat sent, or that were recorded and sent again: they do nothing and are counted."""

import hmac
import random

import pytest

from tests.backplane.nodes import QUIET, RECONNECTING, Node, on_loop, texts, until
from tests.backplane.redis_server import command, needs_redis
from webchat.chat.errors import NameTaken
from webchat.chat.events import ChatMessage, Join, Typing
from webchat.codecs.node import (
    MAC_SIZE,
    HeldName,
    NodeCodec,
    NodeLeft,
    NodeMessage,
    NodePresence,
    NodeState,
    NodeTyping,
    Occupants,
)

pytestmark = needs_redis

ROOM = "Taskmaster"


def signed(key: str, text: str = "forged") -> bytes:
    """A frame with a message, signed with a key, for the channel of everyone."""
    (frame,) = NodeCodec("f" * 16, key).encode("webchat:all", [
        NodeMessage("everyone", ChatMessage("0" * 24, 0, "admin*", True, text))])
    return frame


def said(text: str = "sound", from_user: str = "Sue*", room: str | None = None, number: int = 0) -> NodeMessage:
    """A message of an account to everyone, or to a room."""
    message = ChatMessage(f"{number:024x}", 0, from_user, True, text, room)
    return NodeMessage(f"room:{room}" if room else "everyone", message)


def mac(place: str, body: bytes) -> bytes:
    """The signature of a body without a key."""
    return hmac.digest(b"", b"\x01%d:%b%b" % (len(place), place.encode(), body), "sha256")[:MAC_SIZE]


async def publish(redis, frame: bytes, channel: str = "webchat:all") -> None:
    await command(redis, b"SPUBLISH", channel.encode(), frame)


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
            NodeMessage("everyone", ChatMessage("1" * 24, 0, "admin*", True, "next"))])
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


@pytest.mark.parametrize("key", ["", "secret"])
@on_loop
async def test_what_no_client_could_say_is_dropped_and_the_rest_of_the_frame_is_processed(redis, key):
    """Signed or not: a signature says who wrote a frame, not that it is sound."""
    async with Node(redis.url, key, timing=QUIET) as node:
        ada, alex = await node.login("ada"), await node.login("Alex", "password")
        await node.do(alex, Join(ROOM))
        there, everyone = NodeCodec("f" * 16, key), "webchat:all"
        (first,) = there.encode(everyone, [NodeState(0, 0, 1, (HeldName("\x9b2J", "\x9b2j", True),))])
        await publish(redis, first)
        junk = [said("\x1b[2J"), said("forged", "admin*\x1b[2J"), said(" "), said("x", "server*"),
                NodeTyping("everyone", Typing("\x1b[2J")), said("\x07", room=ROOM)]
        left_out = [NodePresence(1, (HeldName("\x1b[2J", "\x1b[2j", False), HeldName("Sue", "sue", True)), ()),
                    Occupants(ROOM, ("\x1b[2J*", "Sue*"), ())]
        (frame,) = there.encode(everyone, [*junk, *left_out, said(number=1), said(room=ROOM, number=2)])
        await publish(redis, frame)
        await until(lambda: texts(alex) == ["sound", "sound"])
        assert (texts(ada), node.users()) == (["sound"], {"ada", "Alex*", "Sue*"})
        assert set(node.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"}
        assert node.counts["junk"] == 1 + len(junk) + len(left_out)
        seen = repr([*ada.outlet.frames, *alex.outlet.frames, node.hub.rooms[ROOM].history])
        assert "\\x1b" not in seen and "\\x9b" not in seen and "forged" not in seen and "Typing" not in seen


@on_loop
async def test_a_message_to_a_room_that_nobody_here_is_in_is_no_junk(redis):
    async with Node(redis.url, timing=QUIET) as node:
        (frame,) = NodeCodec("f" * 16, "secret").encode("webchat:all", [said(room="Nowhere"), NodeTyping(
            "room:Nowhere", Typing("ada", room="Nowhere")), NodeLeft()])
        await publish(redis, frame)
        await until(lambda: node.counts["received"] == 3)
        assert node.counts["junk"] == 0


@on_loop
async def test_a_signed_item_that_is_not_utf8_costs_neither_the_link_nor_the_other_items(redis):
    async with Node(redis.url, "", timing=QUIET) as node:
        ada = await node.login("ada")
        (frame,) = NodeCodec("f" * 16).encode("webchat:all", [said("bad"), said("good", number=1)])
        head, body = frame[:17], frame[17:].replace(b"bad", b"\xff\xfe\xfd")
        await publish(redis, head[:1] + mac("webchat:all", body) + body)
        await until(lambda: texts(ada) == ["good"])
        assert (node.counts["junk"], node.counts["reconnects"], node.is_well) == (1, 0, True)


@on_loop
async def test_junk_in_the_keys_of_a_room_is_left_out_for_everybody_who_joins(redis):
    history, members = f"webchat:{{room:{ROOM}}}:history", f"webchat:{{room:{ROOM}}}:members"
    there = NodeCodec("f" * 16)
    body = there.keep(history, said("bad", room=ROOM).message).partition(b" ")[2][17:]
    body = body.replace(b"bad", b"\xff\xfe\xfd")
    entries = [b"%024x " % 0 + b"\x01" + mac(history, body) + body,
               there.keep(history, said("\x1b[2J", room=ROOM, number=1).message),
               there.keep(history, said("of another room", room="Elsewhere", number=2).message),
               there.keep(history, said("true", room=ROOM, number=3).message)]
    await command(redis, b"ZADD", history.encode(), *(part for entry in entries for part in (b"0", entry)))
    await command(redis, b"SET", b"webchat:{node:" + b"f" * 16 + b"}:lease", b"1")
    fields = (b"f" * 16 + b"Sue*", b"f" * 16 + b"\xff", b"f" * 16 + b"\x1b[2J*", b"\xff" * 20)
    await command(redis, b"HSET", members.encode(), *(part for field in fields for part in (field, b"")))
    async with Node(redis.url, "", timing=QUIET) as node:
        for name in ("Alex", "Sandy"):
            session = await node.login(name, "password")
            joined = await node.do(session, Join(ROOM))
            assert [message.text for message in joined.history] == ["true"]
            assert "Sue*" in joined.members and all(name.isprintable() for name in joined.members)
        assert (node.counts["junk"], node.counts["reconnects"]) == (6, 0)
