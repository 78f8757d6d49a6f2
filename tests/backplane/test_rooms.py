"""Rooms that span several nodes: members, history, and what Redis keeps of them."""

import asyncio
from dataclasses import replace

import pytest

from tests.backplane.nodes import QUIET, STEADY, Node, Three, on_loop, texts, until
from tests.backplane.redis_server import needs_redis, proxied
from webchat.chat.events import Join, Part, Presence

pytestmark = needs_redis

ROOM = "Taskmaster"
HISTORY, MEMBERS = f"webchat:{{room:{ROOM}}}:history", f"webchat:{{room:{ROOM}}}:members"


async def member(node: Node, name: str, room: str = ROOM):
    """The session of an account that has joined a room, and what it was told when it joined."""
    session = await node.login(name, "password")
    return session, await node.do(session, Join(room))


def members(node: Node, room: str = ROOM) -> set[str]:
    return set(node.hub.rooms[room].members())


async def alternate(one, alex, two, sue, count):
    """Two people on two nodes say a0, s0, a1, s1, …, each after hearing the other."""
    for n in range(count):
        await one.say(alex, f"a{n}", ROOM)
        await until(lambda n=n: f"a{n}" in texts(sue))
        await two.say(sue, f"s{n}", ROOM)
        await until(lambda n=n: f"s{n}" in texts(alex))


@on_loop
async def test_joining_gives_the_members_and_the_last_ten_messages_of_all_nodes(redis):
    async with Three(redis) as (one, two, three):
        (alex, _), (sue, _) = await member(one, "Alex"), await member(two, "Sue")
        await alternate(one, alex, two, sue, 6)
        _, joined = await member(three, "Sandy")
        assert set(joined.members) == {"Alex*", "Sue*", "Sandy*"}
        assert [message.text for message in joined.history] == [f"{who}{n}" for n in range(1, 6) for who in "as"]


@on_loop
async def test_the_history_is_in_the_order_of_speaking_although_the_clocks_are_an_hour_off(redis):
    async with Node(redis.url, skew=3600) as one, Node(redis.url, skew=-3600) as two, Node(redis.url) as three:
        (alex, _), (sue, _) = await member(one, "Alex"), await member(two, "Sue")
        await alternate(one, alex, two, sue, 4)
        _, joined = await member(three, "Sandy")
        assert [message.text for message in joined.history] == [f"{who}{n}" for n in range(4) for who in "as"]


@on_loop
async def test_members_are_told_who_comes_and_goes_on_other_nodes(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex, _ = await member(one, "Alex")
        sue, _ = await member(two, "Sue")
        await until(lambda: Presence(("Sue*",), (), ROOM) in alex.outlet.frames)
        await two.do(sue, Part(ROOM))
        await until(lambda: Presence((), ("Sue*",), ROOM) in alex.outlet.frames)
        await one.say(alex, "alone", ROOM)
        assert members(one) == {"Alex*"}
        assert texts(sue) == []


@on_loop
async def test_a_node_without_members_receives_nothing_of_a_room_any_more(redis):
    async with Three(redis, timing=QUIET) as (one, two, _):
        (alex, _), (sue, _) = await member(one, "Alex"), await member(two, "Sue")
        await until(lambda: members(one) == {"Alex*", "Sue*"})
        await two.do(sue, Part(ROOM))
        await until(lambda: members(one) == {"Alex*"})
        before = two.counts["received"]
        await one.say(alex, "alone", ROOM)
        await one.login("ada")
        await until(lambda: "ada" in two.users())
        assert two.counts["received"] == before + 1  # that ada came


@on_loop
async def test_a_person_in_a_room_on_two_connections_is_a_member_until_both_have_left(redis):
    async with Node(redis.url, timing=QUIET) as one, Node(redis.url, timing=QUIET) as two:
        (alex, _), (alex_too, _), (sue, _) = [await member(node, name) for node, name in (
            (one, "Alex"), (one, "Alex"), (two, "Sue"))]
        assert members(two) == {"Alex*", "Sue*"}
        await one.do(alex, Part(ROOM))
        await one.say(alex_too, "still here", ROOM)
        await until(lambda: texts(sue))
        assert members(two) == {"Alex*", "Sue*"}
        await one.do(alex_too, Part(ROOM))
        await until(lambda: members(two) == {"Sue*"})


@on_loop
async def test_the_members_of_a_node_that_leaves_are_gone(redis):
    async with Node(redis.url) as two:
        async with Node(redis.url) as one:
            await member(one, "Alex")
            sue, _ = await member(two, "Sue")
            assert members(two) == {"Alex*", "Sue*"}
        await until(lambda: members(two) == {"Sue*"})
        assert redis.call("HLEN", MEMBERS) == b":1\r\n"


@on_loop
async def test_members_that_a_dead_node_left_in_redis_are_deleted_when_somebody_joins(redis):
    redis.call("HSET", MEMBERS, "0" * 16 + "Ghost*", "", "1" * 16 + "Sandy*", "")
    redis.call("SET", "webchat:{node:" + "1" * 16 + "}:lease", "1")
    async with Node(redis.url) as one:
        _, joined = await member(one, "Alex")
        assert set(joined.members) == {"Alex*", "Sandy*"}
        await until(lambda: redis.call("HLEN", MEMBERS) == b":2\r\n")
        assert b"Ghost" not in redis.call("HKEYS", MEMBERS)


@on_loop
async def test_a_member_who_leaves_while_another_person_joins_elsewhere_is_not_listed(redis):
    async with (proxied(redis) as proxy, Node(redis.url, timing=QUIET) as one,
                Node(proxy.url, timing=QUIET) as two):
        (alex, _), sue = await member(one, "Alex"), await two.login("Sue", "password")
        proxy.hold("HKEYS")
        joining = asyncio.create_task(two.do(sue, Join(ROOM)))
        await proxy.holding.wait()  # Redis has answered that Alex is a member
        before = two.counts["received"]
        await one.do(alex, Part(ROOM))
        await until(lambda: two.counts["received"] > before)
        proxy.release()
        assert (await joining).members == ("Sue*",)


@on_loop
async def test_two_people_who_join_at_once_both_get_the_history(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex, _ = await member(one, "Alex")
        await one.say(alex, "hello", ROOM)
        await until(lambda: redis.call("ZCARD", HISTORY) == b":1\r\n")
        sessions = [await two.login(name, "password") for name in ("Sue", "Sandy")]
        for joined in await asyncio.gather(*(two.do(session, Join(ROOM)) for session in sessions)):
            assert [message.text for message in joined.history] == ["hello"]


@on_loop
async def test_a_join_that_is_given_up_leaves_no_subscription_behind(redis):
    async with (proxied(redis) as proxy, Node(redis.url, timing=QUIET) as one,
                Node(proxy.url, timing=QUIET) as two):
        _, sue = await member(one, "Alex"), await two.login("Sue", "password")
        proxy.hold("HKEYS")
        joining = asyncio.create_task(two.do(sue, Join(ROOM)))
        await proxy.holding.wait()
        joining.cancel()
        await asyncio.wait([joining])
        proxy.release()
        await until(lambda: redis.call("PUBSUB", "SHARDNUMSUB", f"webchat:{{room:{ROOM}}}").endswith(b":1\r\n"))
        assert (await two.do(sue, Join(ROOM))).members == ("Sue*", "Alex*")


@on_loop
async def test_a_join_that_is_given_up_does_not_end_one_that_goes_on(redis):
    async with (proxied(redis) as proxy, Node(redis.url, timing=QUIET) as one,
                Node(proxy.url, timing=QUIET) as two):
        await member(one, "Alex")
        sue, sandy = await two.login("Sue", "password"), await two.login("Sandy", "password")
        proxy.hold("HKEYS")
        first, second = [asyncio.create_task(two.do(session, Join(ROOM))) for session in (sue, sandy)]
        await proxy.holding.wait()
        first.cancel()
        await asyncio.wait([first])
        await asyncio.sleep(0)
        proxy.release()
        await second
        await until(lambda: members(one) == {"Alex*", "Sandy*"})


@on_loop
async def test_a_room_that_could_not_be_read_is_read_again_with_the_next_join(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex, _ = await member(one, "Alex")
        await one.say(alex, "hello", ROOM)
        await until(lambda: redis.call("ZCARD", HISTORY) == b":1\r\n")
        redis.call("RENAME", HISTORY, "elsewhere")
        redis.call("SET", HISTORY, "not a history")
        assert (await member(two, "Sue"))[1].history == ()
        redis.call("RENAME", "elsewhere", HISTORY)
        assert [message.text for message in (await member(two, "Sandy"))[1].history] == ["hello"]


@on_loop
async def test_a_person_who_joins_while_others_talk_gets_every_message_once(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        (alex, _), sue = await member(one, "Alex"), await two.login("Sue", "password")
        talking = asyncio.create_task(talk(one, alex))
        for _ in range(30):
            sue.outlet.take()
            joined = await two.do(sue, Join(ROOM))
            await until(lambda: len(texts(sue)) > 5)
            heard = [int(message.text) for message in joined.history] + [int(text) for text in texts(sue)]
            assert heard == list(range(heard[0], heard[0] + len(heard)))
            await two.do(sue, Part(ROOM))
        talking.cancel()


async def talk(node, session):
    for n in range(1_000_000):
        await node.say(session, str(n), ROOM)
        await asyncio.sleep(0.0003)  # leaves the other tasks their turns


@on_loop
async def test_a_room_of_a_thousand_members_on_one_node_is_known_on_another(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        # More than fit into one item; the hub has no accounts for so many.
        room, names = (await member(one, "Alex"), one.hub.rooms[ROOM])[1], [f"guest{n}" for n in range(1000)]
        sessions = [one.open() for _ in names]
        sue, _ = await member(two, "Sue")
        for session, name in zip(sessions, names, strict=True):
            room.add(session, name)
        one.backplane.occupants(room)
        await until(lambda: members(two) == {"Alex*", "Sue*", *names})
        for session, name in zip(sessions, names, strict=True):
            room.remove(session, name)
        one.backplane.occupants(room)
        await until(lambda: members(two) == {"Alex*", "Sue*"})


class TestExpiry:
    @on_loop
    async def test_an_empty_room_is_remembered_for_an_hour(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex, _ = await member(one, "Alex")
            await one.say(alex, "hello", ROOM)
            await until(lambda: redis.call("ZCARD", HISTORY) == b":1\r\n")
            await one.do(alex, Part(ROOM))
            await until(lambda: redis.call("HLEN", MEMBERS) == b":0\r\n")
            assert 3000 < int(redis.call("TTL", HISTORY)[1:]) <= 3600
            sue, joined = await member(two, "Sue")
            assert [message.text for message in joined.history] == ["hello"]
            two.hub.close(sue)
            await until(lambda: redis.call("HLEN", MEMBERS) == b":0\r\n")
            redis.call("DEL", HISTORY)  # as after an hour
            assert (await member(one, "Sandy"))[1].history == ()

    @pytest.mark.parametrize("key", [HISTORY, MEMBERS])
    @on_loop
    async def test_a_room_with_members_does_not_expire(self, redis, key):
        async with Node(redis.url, timing=replace(STEADY, record_lifetime=0.4)) as one:
            alex, _ = await member(one, "Alex")
            await one.say(alex, "hello", ROOM)
            await until(lambda: redis.call("EXPIRE", key, "100") == b":1\r\n")
            await until(lambda: int(redis.call("TTL", key)[1:]) > 3000)
