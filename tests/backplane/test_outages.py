"""Redis is killed, stopped, slow, silent or flushed: each server's own chat goes on, and afterwards all are one again.

How long that may take follows from the time limits; see test_timing.
"""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.backplane.nodes import RECONNECTING, SENSITIVE, Node, heard_from, let_in, on_loop, texts, until
from tests.backplane.redis_server import Proxy, RedisServer, needs_redis, proxied
from tests.chat.fakes import at_once
from webchat.chat.errors import Degraded, NameTaken
from webchat.chat.events import Join, Part, Presence, Say

pytestmark = needs_redis

ROOM = "Taskmaster"


class Outage:
    """A Redis that is out of order between `begin` and `end`; nodes connect to `url`."""

    timing = RECONNECTING

    def __init__(self, server: RedisServer, proxy: Proxy):
        self.server, self.proxy, self.url = server, proxy, proxy.url

    def begin(self) -> None: ...

    def end(self) -> None:
        self.proxy.mend()


class Killed(Outage):
    def begin(self):
        self.server.kill()

    def end(self):
        self.server.start()


class Stopped(Outage):
    timing = SENSITIVE

    def begin(self):
        self.server.pause()

    def end(self):
        self.server.resume()


class Slow(Outage):
    timing = SENSITIVE

    def begin(self):
        self.proxy.delay = 4 * self.timing.reply_timeout


class Silent(Outage):
    timing = SENSITIVE

    def begin(self):
        self.proxy.blackhole()


class Cut(Outage):
    def begin(self):
        self.proxy.cut()


@asynccontextmanager
async def redis_with(outage):
    server = RedisServer().start()
    try:
        async with proxied(server) as proxy:
            yield outage(server, proxy)
    finally:
        server.close()


@asynccontextmanager
async def two_nodes(outage):
    async with (redis_with(outage) as redis, Node(redis.url, timing=redis.timing) as one,
                Node(redis.url, timing=redis.timing) as two):
        await until(lambda: one.is_well and two.is_well)
        yield redis, one, two


def say(node, session, text):
    """Say something to everyone. Raises AssertionError if that has to wait for anything."""
    return at_once(node.hub.handle(session, Say(text)))


@pytest.mark.parametrize("outage", [Killed, Stopped, Slow, Silent, Cut])
@on_loop
async def test_local_chat_goes_on_without_redis_and_the_nodes_are_one_chat_again_afterwards(outage):
    async with two_nodes(outage) as (redis, one, two):
        ada, bob, cyd = await let_in(one, "ada"), await let_in(one, "bob"), await let_in(two, "cyd")
        await until(lambda: one.users() == two.users() == {"ada", "bob", "cyd"})
        await heard_from(one, ada, cyd)

        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        dropped = one.counts["dropped"]
        for node in (one, two):
            assert node.backplane.health().keys() == {"status", "backplane", "nodes"}  # no address, no exception
            with pytest.raises(Degraded):
                at_once(node.login("dan"))  # nobody waits for a Redis that is known to be away
        again = at_once(one.login("ada", token=ada.person.token))
        one.hub.close(bob)
        for n in range(50):
            say(one, ada, str(n))
        assert texts(again) == [str(n) for n in range(50)]
        assert texts(ada)[-50:] == texts(again)
        assert one.counts["dropped"] >= dropped + 50

        redis.end()
        await until(lambda: one.is_well and two.is_well)
        await until(lambda: one.users() == two.users() == {"ada", "cyd"})
        await let_in(two, "dan")
        cyd.outlet.take()
        await heard_from(one, ada, cyd)
        assert set(texts(cyd)) == {"are you there?"}  # what was dropped is not sent later


@on_loop
async def test_after_a_flush_redis_has_everything_again():
    async with two_nodes(Outage) as (redis, one, two):
        ada = await one.login("ada")
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        for node, session in ((one, alex), (two, sue)):
            await node.do(session, Join(ROOM))
        for n in range(12):
            await one.say(alex, str(n), ROOM)
        await until(lambda: len(texts(sue)) == 12)
        ada.outlet.take()

        redis.server.call("FLUSHALL")
        with pytest.raises(NameTaken):  # not even before the record is written again
            await two.login("ada")
        await until(lambda: redis.server.call("HLEN", "webchat:{name:ada}") == b":3\r\n")
        await until(lambda: redis.server.call("ZCARD", f"webchat:{{room:{ROOM}}}:history") == b":10\r\n")
        await until(lambda: redis.server.call("HLEN", f"webchat:{{room:{ROOM}}}:members") == b":2\r\n")
        joined = await two.do(await two.login("Sandy", "password"), Join(ROOM))
        assert set(joined.members) == {"Alex*", "Sue*", "Sandy*"}
        assert [message.text for message in joined.history] == [str(n) for n in range(2, 12)]
        async with Node(redis.url) as three:
            assert three.users() == {"ada", "Alex*", "Sue*", "Sandy*"}
            await three.do(await three.login("Alex", "password"), Join(ROOM))
            assert set(three.hub.rooms[ROOM].members()) == {"Alex*", "Sue*", "Sandy*"}
        assert one.is_well and two.is_well
        assert [event for event in ada.outlet.of(Presence) if event.left] == []


@on_loop
async def test_a_room_catches_up_with_what_was_said_on_both_sides_of_an_outage():
    async with two_nodes(Cut) as (redis, one, two):
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        for node, session in ((one, alex), (two, sue)):
            await node.do(session, Join(ROOM))
        await one.say(alex, "before", ROOM)
        await until(lambda: texts(sue))
        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        await one.say(alex, "alone", ROOM)
        await two.say(sue, "alone, too", ROOM)
        redis.end()
        await until(lambda: len(texts(sue)) == len(texts(alex)) == 3)
        await until(lambda: one.is_well and two.is_well)
        await one.say(alex, "after", ROOM)
        await until(lambda: len(texts(sue)) == 4)
        assert sorted(texts(alex)) == sorted(texts(sue)) == ["after", "alone", "alone, too", "before"]
        assert one.hub.rooms[ROOM].history == two.hub.rooms[ROOM].history
        assert set(one.hub.rooms[ROOM].members()) == set(two.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"}


@on_loop
async def test_a_room_can_be_joined_without_redis_and_is_one_room_afterwards():
    async with two_nodes(Cut) as (redis, one, two):
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        await until(lambda: one.users() == two.users() == {"Alex*", "Sue*"})
        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        assert (await one.do(alex, Join(ROOM))).members == ("Alex*",)
        await two.do(sue, Join(ROOM))
        await one.say(alex, "hello", ROOM)
        redis.end()
        await until(lambda: set(two.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"} and one.is_well and two.is_well)
        await one.say(alex, "again", ROOM)
        await until(lambda: "again" in texts(sue))
        await until(lambda: [message.text for message in two.hub.rooms[ROOM].history] == ["hello", "again"])
        assert texts(sue) == ["again"]  # what was said before the node could read the room is history


@on_loop
async def test_a_member_who_left_during_an_outage_is_not_listed_afterwards():
    async with two_nodes(Cut) as (redis, one, two):
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        for node, session in ((one, alex), (two, sue)):
            await node.do(session, Join(ROOM))
        await until(lambda: set(one.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"})
        sandy = await one.login("Sandy", "password")
        await one.do(sandy, Join(ROOM))
        await until(lambda: len(two.hub.rooms[ROOM].members()) == 3)
        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        one.hub.close(alex)
        redis.end()
        await until(lambda: set(two.hub.rooms[ROOM].members()) == {"Sue*", "Sandy*"})


@on_loop
async def test_a_node_that_reconnects_learns_what_it_has_missed_before_the_next_heartbeats():
    timing = replace(RECONNECTING, heartbeat=3600)
    async with (redis_with(Cut) as redis, Node(redis.server.url, timing=timing) as one,
                Node(redis.url, timing=timing) as two):
        ada = await one.login("ada")
        await until(lambda: two.users() == {"ada"})
        redis.begin()
        await until(lambda: not two.is_well)
        one.hub.close(ada)
        await one.login("bob")
        redis.end()
        await until(lambda: two.users() == {"bob"})


@on_loop
async def test_a_node_that_reconnects_learns_who_has_left_its_rooms_on_other_nodes():
    async with (redis_with(Cut) as redis, Node(redis.server.url, timing=RECONNECTING) as one,
                Node(redis.url, timing=RECONNECTING) as two):
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        for node, session in ((one, alex), (two, sue)):
            await node.do(session, Join(ROOM))
        assert set(two.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"}
        redis.begin()
        await until(lambda: not two.is_well)
        await one.do(alex, Part(ROOM))
        redis.end()
        await until(lambda: two.hub.rooms[ROOM].members() == ("Sue*",))


@on_loop
async def test_a_node_that_reconnects_corrects_what_others_have_missed_about_its_members():
    async with (redis_with(Outage) as redis, proxied(redis.server) as proxy,
                Node(redis.url, timing=RECONNECTING) as one, Node(proxy.url, timing=RECONNECTING) as two):
        alex, sandy = await one.login("Alex", "password"), await one.login("Sandy", "password")
        sue = await two.login("Sue", "password")
        for node, session in ((one, alex), (one, sandy), (two, sue)):
            await node.do(session, Join(ROOM))
        proxy.deaf = True
        before = proxy.swallowed
        await one.do(alex, Part(ROOM))
        await until(lambda: redis.server.call("HLEN", f"webchat:{{room:{ROOM}}}:members") == b":2\r\n")
        await until(lambda: proxy.swallowed > before + 3)  # heartbeats are among it
        proxy.deaf = False
        assert len(two.hub.rooms[ROOM].members()) == 3
        redis.proxy.cut()
        await until(lambda: not one.is_well)
        redis.proxy.mend()
        await until(lambda: set(two.hub.rooms[ROOM].members()) == {"Sue*", "Sandy*"})
        assert two.counts["reconnects"] == 0


@on_loop
async def test_after_an_outage_a_member_who_leaves_is_gone_on_their_own_node_too():
    async with two_nodes(Cut) as (redis, one, _):
        alex, sandy = await one.login("Alex", "password"), await one.login("Sandy", "password")
        for session in (alex, sandy):
            await one.do(session, Join(ROOM))
        redis.begin()
        await until(lambda: not one.is_well)
        redis.end()
        await until(lambda: one.is_well)
        one.hub.close(alex)
        assert one.hub.rooms[ROOM].members() == ("Sandy*",)


@pytest.mark.parametrize("remaining", [True, False])
@on_loop
async def test_a_member_who_left_during_an_outage_is_not_in_the_room_for_those_who_join_later(remaining):
    async with two_nodes(Cut) as (redis, one, two):
        alex, sandy = await one.login("Alex", "password"), await one.login("Sandy", "password")
        for session in (alex, sandy) if remaining else (alex,):
            await one.do(session, Join(ROOM))
        await until(lambda: redis.server.call("HLEN", f"webchat:{{room:{ROOM}}}:members") != b":0\r\n")
        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        one.hub.close(alex)
        redis.end()
        await until(lambda: one.is_well and two.is_well)
        joined = await two.do(await let_in(two, "Sue", "password"), Join(ROOM))
        assert set(joined.members) == ({"Sue*", "Sandy*"} if remaining else {"Sue*"})


@on_loop
async def test_the_last_message_of_a_room_is_saved_after_an_outage_although_everybody_has_left():
    async with two_nodes(Silent) as (redis, one, two):
        alex = await let_in(one, "Alex", "password")
        await one.do(alex, Join(ROOM))
        redis.begin()
        await one.say(alex, "the last word", ROOM)  # under way when Redis falls silent
        await until(lambda: not one.is_well)
        one.hub.close(alex)
        redis.end()
        await until(lambda: one.is_well and two.is_well)
        joined = await two.do(await let_in(two, "Sue", "password"), Join(ROOM))
        assert [message.text for message in joined.history] == ["the last word"]


@on_loop
async def test_a_message_said_to_a_room_without_redis_is_saved_afterwards_although_everybody_has_left():
    async with two_nodes(Cut) as (redis, one, two):
        alex = await one.login("Alex", "password")
        redis.begin()
        await until(lambda: not one.is_well)
        await one.do(alex, Join(ROOM))
        await one.say(alex, "nobody heard this", ROOM)
        one.hub.close(alex)
        redis.end()
        await until(lambda: one.is_well and two.is_well)
        joined = await two.do(await let_in(two, "Sue", "password"), Join(ROOM))
        assert [message.text for message in joined.history] == ["nobody heard this"]


@on_loop
async def test_a_login_during_which_redis_falls_silent_is_refused_after_the_reply_timeout():
    async with redis_with(Silent) as redis, Node(redis.url, timing=replace(SENSITIVE, heartbeat=3600)) as one:
        await until(lambda: one.is_well)
        redis.begin()
        with pytest.raises(Degraded):
            await one.login("ada")
        assert one.users() == set()


@on_loop
async def test_a_login_while_the_names_are_claimed_again_waits_for_the_end_of_the_grace_period():
    timing = replace(RECONNECTING, grace_period=0.5)
    async with redis_with(Cut) as redis, Node(redis.url, timing=timing) as one:
        redis.begin()
        await until(lambda: not one.is_well)
        redis.end()
        await until(lambda: one.counts["reconnects"])
        assert not one.is_well
        await one.login("ada")
        assert one.is_well


@on_loop
async def test_a_login_that_waits_for_a_long_grace_period_is_refused():
    timing = replace(RECONNECTING, reply_timeout=0.5, grace_period=3600)
    async with redis_with(Cut) as redis, Node(redis.url, timing=timing) as one:
        redis.begin()
        await until(lambda: not one.is_well)
        redis.end()
        await until(lambda: one.counts["reconnects"])
        with pytest.raises(Degraded):
            await one.login("ada")


@on_loop
async def test_a_server_starts_without_redis_and_joins_the_others_later():
    async with redis_with(Killed) as redis:
        redis.begin()
        async with Node(redis.url, timing=RECONNECTING) as one, Node(redis.url, timing=RECONNECTING) as two:
            assert not one.is_well
            with pytest.raises(Degraded):
                await one.login("ada")
            redis.end()
            await until(lambda: one.is_well and two.is_well)
            await one.login("ada")
            await until(lambda: two.users() == {"ada"})


@on_loop
async def test_a_server_stops_although_redis_is_silent():
    async with redis_with(Silent) as redis, Node(redis.url, timing=SENSITIVE) as one:
        await let_in(one, "ada")
        redis.begin()
    assert not one.is_well


@on_loop
async def test_a_subscription_that_receives_nothing_any_more_is_noticed_and_made_again(caplog):
    timing = replace(RECONNECTING, reply_timeout=1, log_interval=0)
    async with redis_with(Outage) as redis, Node(redis.url, timing=timing) as one, Node(
            redis.url, timing=timing) as two:
        ada, bob = await let_in(one, "ada"), await let_in(two, "bob")
        await until(lambda: one.users() == two.users() == {"ada", "bob"})
        redis.proxy.deaf = True
        await until(lambda: caplog.text.count("the subscription receives nothing") >= 2)
        redis.proxy.deaf = False
        await until(lambda: one.is_well and two.is_well)
        await heard_from(one, ada, bob)


@on_loop
async def test_the_loss_of_the_subscription_alone_is_noticed():
    async with two_nodes(Outage) as (redis, one, two):
        bob = await two.login("bob")
        ada = await one.login("ada")
        await until(lambda: one.users() == two.users() == {"ada", "bob"})
        redis.server.call("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: one.counts["reconnects"] and two.counts["reconnects"] and one.is_well and two.is_well)
        await heard_from(one, ada, bob)
        assert one.users() == two.users() == {"ada", "bob"}


@on_loop
async def test_a_connection_that_comes_and_goes_is_two_lines_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    timing = replace(RECONNECTING, log_interval=3600)
    async with redis_with(Cut) as redis, Node(redis.url, timing=timing) as one:
        for _ in range(5):
            redis.begin()
            await until(lambda: not one.is_well)
            for _ in range(50):
                with pytest.raises(Degraded):
                    await one.login("ada")
                await one.backplane.recognises("x", "y")
            redis.end()
            await until(lambda: one.is_well)
    lines = [record.levelname for record in caplog.records if record.name.startswith("webchat")]
    assert lines == ["WARNING", "INFO"]


@on_loop
async def test_the_wait_for_the_others_ends_with_the_grace_period_although_a_subscriber_never_answers():
    async with redis_with(Outage) as redis:
        _, writer = await asyncio.open_unix_connection(redis.server.socket)
        writer.write(b"SSUBSCRIBE webchat:all\r\n")
        await until(lambda: redis.server.call("PUBSUB", "SHARDNUMSUB", "webchat:all").endswith(b":1\r\n"))
        async with Node(redis.url, timing=RECONNECTING) as one:
            assert one.is_well
        writer.close()
        await writer.wait_closed()
