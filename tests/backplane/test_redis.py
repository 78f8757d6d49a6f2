"""Several nodes, one chat: routing by interest, names, presence and rooms, through a real Redis."""

import asyncio
import random
import shlex
import time
from pathlib import Path

import pytest

from tests.backplane.nodes import QUICK, Node, on_loop, texts, until
from tests.backplane.redis_server import Proxy, RedisServer, needs_redis
from webchat.backplane.redis import RedisBackplane
from webchat.chat.errors import BadCredentials, NameTaken
from webchat.chat.events import ChatMessage, Join, Notice, Part, Presence, Rename, Type, Typing
from webchat.codecs.node import NodeCodec, NodeMessage, NodePresence

pytestmark = needs_redis

ROOM = "Taskmaster"


@pytest.fixture(scope="module")
def server():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def redis(server):
    server.call("FLUSHALL")
    return server


class Three:
    """Three nodes, well and acquainted."""

    def __init__(self, redis, **settings):
        self.nodes = [Node(redis.url, **settings) for _ in range(3)]

    async def __aenter__(self):
        for node in self.nodes:
            await node.__aenter__()
        return self.nodes

    async def __aexit__(self, *_):
        for node in self.nodes:
            await node.__aexit__()


async def acquainted(*nodes):
    """Wait until all nodes know the same people."""
    return await until(lambda: all(node.users() == nodes[0].users() for node in nodes) and nodes[0].users())


class TestRouting:
    @on_loop
    async def test_a_message_to_everyone_is_heard_once_by_everybody_on_every_node(self, redis):
        async with Three(redis) as nodes:
            people = [await node.login(f"guest{n}") for n, node in enumerate(nodes)]
            await nodes[0].say(people[0], "hello")
            await until(lambda: all(texts(person) for person in people))
            await nodes[1].say(people[1], "and you")
            await until(lambda: all(len(texts(person)) > 1 for person in people))
            assert [texts(person) for person in people] == [["hello", "and you"]] * 3

    @on_loop
    async def test_a_private_message_reaches_all_connections_of_both_and_no_other_node(self, redis):
        async with Three(redis) as (one, two, three):
            ada = await one.login("ada")
            ada_too = await two.login("ada", token=ada.person.token)
            bob = await two.login("bob")
            await acquainted(one, two, three)
            heard = three.counts["received"]
            await one.tell(ada, "bob", "hush")
            await until(lambda: texts(bob) and texts(ada_too))
            await two.tell(bob, "ada", "and hush")
            await until(lambda: texts(ada))
            assert (texts(ada), texts(bob), texts(ada_too)) == (["and hush"], ["hush"], ["hush", "and hush"])
            assert three.counts["received"] - heard < 10  # beats alone

    @on_loop
    async def test_a_private_message_between_users_of_one_node_costs_the_others_nothing(self, redis):
        quiet = type(QUICK)(beat=60)
        async with Three(redis, timing=quiet) as (one, two, three):
            ada, bob = await one.login("ada"), await one.login("bob")
            await acquainted(one, two, three)
            before = [(node.counts["received"], node.counts["published"]) for node in (one, two, three)]
            for n in range(50):
                await one.tell(ada, "bob", str(n))
            await two.do(await two.login("Alex", "password"), Join(ROOM))  # a round trip later
            await until(lambda: "Alex*" in one.users())
            assert texts(bob) == [str(n) for n in range(50)]
            assert one.counts["published"] == before[0][1]
            assert three.counts["received"] - before[2][0] == 1  # that Alex came

    @on_loop
    async def test_a_room_with_members_on_one_node_costs_the_others_nothing(self, redis):
        async with Three(redis, timing=type(QUICK)(beat=60)) as (one, two, three):
            alex, sue = await one.login("Alex", "password"), await one.login("Sue", "password")
            await acquainted(one, two, three)
            before = [node.counts["received"] for node in (two, three)]
            for each in (alex, sue):
                await one.do(each, Join(ROOM))
            for n in range(20):
                await one.say(alex, str(n), ROOM)
            await one.login("ada")
            await until(lambda: "ada" in two.users() & three.users())
            assert texts(sue) == [str(n) for n in range(20)]
            assert [node.counts["received"] for node in (two, three)] == [count + 1 for count in before]

    @on_loop
    async def test_typing_hints_travel_like_messages(self, redis):
        async with Three(redis) as (one, two, three):
            ada, bob, cyd = await one.login("ada"), await two.login("bob"), await three.login("cyd")
            await acquainted(one, two, three)
            await one.do(ada, Type(to_user="bob"))
            assert await until(lambda: bob.outlet.of(Typing)) == [Typing("ada", to_user="bob")]
            await two.do(bob, Type())
            assert await until(lambda: cyd.outlet.of(Typing)) == [Typing("bob")]

    @on_loop
    async def test_each_senders_order_holds_on_every_node(self, redis):
        async with Three(redis) as nodes:
            people = [await node.login(f"guest{n}") for n, node in enumerate(nodes)]
            await acquainted(*nodes)
            said = [f"{n} {i}" for i in range(200) for n in range(3)]
            for i, text in enumerate(said):
                n = i % 3
                await nodes[n].say(people[n], text)
                if not i % 50:
                    await asyncio.sleep(0)
            await until(lambda: all(len(texts(person)) == 600 for person in people))
            for person in people:
                for n in range(3):
                    assert [text for text in texts(person) if text.startswith(f"{n} ")] == said[n::3]

    @on_loop
    async def test_many_messages_at_once_go_in_few_frames(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada, bob = await one.login("ada"), await two.login("bob")
            await acquainted(one, two)
            before = int(redis.call("INFO", "commandstats").split(b"cmdstat_spublish:calls=")[1].split(b",")[0])
            for n in range(1000):
                await one.say(ada, str(n))
            await until(lambda: len(texts(bob)) == 1000)
            after = int(redis.call("INFO", "commandstats").split(b"cmdstat_spublish:calls=")[1].split(b",")[0])
            assert after - before < 50


class TestJunk:
    def frames(self, key="secret"):
        stranger = NodeCodec("f" * 16, key)
        message = ChatMessage("f" * 24, 0, "admin", True, "forged")
        return stranger, NodeMessage("everyone", message)

    async def heard_nothing(self, redis, node, ada, frame: bytes, channel: str = "webchat:all"):
        before = node.counts["junk"]
        writer = (await asyncio.open_unix_connection(redis.socket))[1]
        writer.write(b"*3\r\n$8\r\nSPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            len(channel), channel.encode(), len(frame), frame))
        await until(lambda: node.counts["junk"] > before)
        writer.close()
        await writer.wait_closed()
        assert texts(ada) == []
        assert node.users() == {"ada"}
        assert node.counts["junk"] == before + 1

    @on_loop
    async def test_what_no_node_of_ours_signed_delivers_nothing_and_is_counted(self, redis):
        stranger, said = self.frames("another key")
        (signed,) = stranger.encode("webchat:all", [said])
        async with Node(redis.url) as node:
            ada = await node.login("ada")
            for junk in (b"", b"junk", signed, b"\x80" + signed, bytes(300_000), random.randbytes(500)):
                await self.heard_nothing(redis, node, ada, junk)

    @on_loop
    async def test_what_was_heard_before_or_elsewhere_delivers_nothing_again(self, redis):
        stranger, said = self.frames()
        (frame,) = stranger.encode("webchat:all", [said])
        async with Node(redis.url) as node:
            ada = await node.login("ada")
            codec = node.backplane._codec
            codec.decode("webchat:all", frame)
            await self.heard_nothing(redis, node, ada, frame)
            await self.heard_nothing(redis, node, ada, frame, f"webchat:{{node:{node.backplane.node}}}")

    @on_loop
    async def test_nodes_with_different_keys_do_not_hear_each_other_but_share_the_names(self, redis):
        async with Node(redis.url, key="one") as one, Node(redis.url, key="two") as two:
            await one.login("ada")
            await until(lambda: two.counts["junk"])
            assert two.users() == set()
            with pytest.raises(NameTaken):
                await two.login("ada")

    @on_loop
    async def test_junk_among_a_rooms_history_is_left_out(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex = await one.login("Alex", "password")
            await one.do(alex, Join(ROOM))
            await one.say(alex, "true", ROOM)
            await until(lambda: b"true" in redis.call("ZRANGE", f"webchat:{{room:{ROOM}}}:history", "0", "-1"))
            redis.call("ZADD", f"webchat:{{room:{ROOM}}}:history", "0", "junk")
            joined = await two.do(await two.login("Sue", "password"), Join(ROOM))
            assert [message.text for message in joined.history] == ["true"]
            assert two.counts["junk"] == 1


class TestNames:
    @on_loop
    async def test_a_race_of_two_hundred_over_three_nodes_has_one_winner(self, redis):
        async with Three(redis) as nodes:
            races = await asyncio.gather(
                *(nodes[n % 3].login("ada") for n in range(200)), return_exceptions=True)
            assert sorted(type(result).__name__ for result in races) == ["NameTaken"] * 199 + ["Session"]
            assert await acquainted(*nodes) == {"ada"}
            winner = next(result for result in races if not isinstance(result, Exception))
            home = next(node for node in nodes if winner in node.hub.sessions)
            home.hub.close(winner)
            await until(lambda: not any(node.users() for node in nodes))
            await nodes[0].login("ada")

    @on_loop
    async def test_a_name_that_looks_the_same_is_the_same_on_another_node(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            await one.login("ada")
            with pytest.raises(NameTaken):
                await two.login("аdа")

    @on_loop
    async def test_the_same_browser_is_let_in_on_another_node(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            with pytest.raises(NameTaken):
                await two.login("ada", token="guess")
            again = await two.login("ada", token=ada.person.token)
            one.hub.close(ada)
            with pytest.raises(NameTaken):
                await one.login("ada")
            two.hub.close(again)
            await until(lambda: not one.users() | two.users())
            await one.login("ada")

    @on_loop
    async def test_an_account_is_on_several_nodes_and_its_token_stands_for_its_password(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex = await one.login("Alex", "password")
            await acquainted(one, two)
            with pytest.raises(BadCredentials):
                await two.login("Alex", token="guess")
            assert (await two.login("Alex", token=alex.person.token)).username == "Alex*"
            assert (await two.login("Alex", "password")).username == "Alex*"
            assert one.users() == two.users() == {"Alex*"}

    @on_loop
    async def test_who_leaves_or_takes_another_name_frees_his_at_once(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            await acquainted(one, two)
            await one.do(ada, Rename("bob"))
            assert (await two.login("ada")).username == "ada"
            one.hub.close(ada)
            await until_let_in(two, "bob", within=0.5)

    @on_loop
    async def test_a_node_that_leaves_properly_takes_its_people_with_it_at_once(self, redis):
        async with Node(redis.url) as two:
            async with Node(redis.url) as one:
                await one.login("ada")
                await until(lambda: two.users() == {"ada"})
            await until(lambda: two.users() == set(), within=0.5)
            assert (await two.login("ada")).username == "ada"

    @on_loop
    async def test_a_guest_gives_way_to_the_account_that_his_name_has_become(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            one.hub.accounts._by_key = {}
            guest = await one.login("Sue")
            await acquainted(one, two)
            sue = await two.login("Sue", "password")
            await until(lambda: one.users() == {"Sue*"})
            assert guest.outlet.closed is not None
            assert sue.outlet.closed is None
            assert two.users() == {"Sue*"}

    @on_loop
    async def test_a_node_that_was_cut_off_gives_way_where_its_names_were_taken(self, redis):
        proxy = await Proxy(redis).start()
        async with Node(proxy.url) as one, Node(redis.url) as two:
            ada, bob = await one.login("ada"), await one.login("bob")
            await acquainted(one, two)
            proxy.cut()
            await until(lambda: not two.users())
            usurper = await until_let_in(two, "ada")
            proxy.mend()
            await until(lambda: ada.outlet.closed is not None)
            assert [event.code for event in ada.outlet.of(Notice)] == ["name-taken"]
            await until(lambda: one.users() == two.users() == {"ada", "bob"})
            assert bob.outlet.closed is usurper.outlet.closed is None
            await one.tell(bob, "ada", "hello")
            assert await until(lambda: texts(usurper)) == ["hello"]
        await proxy.stop()

    @on_loop
    async def test_a_name_released_while_redis_was_away_is_free_when_it_is_back(self, redis):
        proxy = await Proxy(redis).start()
        async with Node(proxy.url) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            proxy.cut()
            await until(lambda: not one.is_well)
            one.hub.close(ada)
            proxy.mend()
            await until(lambda: one.is_well)
            await until_let_in(two, "ada")
        await proxy.stop()

    @on_loop
    async def test_a_login_that_is_given_up_leaves_no_name_behind(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            for _ in range(20):
                login = asyncio.ensure_future(one.login("ada"))
                for _ in range(random.randrange(6)):
                    await asyncio.sleep(0)
                if login.cancel():
                    await asyncio.wait([login])
                else:
                    one.hub.close(login.result())
            await until_let_in(two, "ada")


async def until_let_in(node, name, within=5.0):
    """The session of somebody who tries until his name is free."""
    deadline = time.monotonic() + within
    while True:
        try:
            return await node.login(name)
        except NameTaken:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


class Forgetful(RedisBackplane):
    """Loses differences on the way while `loses` is set."""

    loses = False

    def _post(self, item, channel):
        if not (self.loses and isinstance(item, NodePresence)):
            super()._post(item, channel)


class TestPresence:
    @on_loop
    async def test_a_node_that_starts_knows_everybody(self, redis):
        async with Node(redis.url) as one:
            names = {f"guest{n}" for n in range(1200)}  # more than one part of the state
            for name in names:
                await one.login(name)
            async with Node(redis.url) as two:
                assert two.users() == names

    @on_loop
    async def test_differences_reach_those_who_are_here_within_a_moment(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            bob = await two.login("bob")
            assert await until(lambda: ada.outlet.of(Presence)) == [Presence(("bob",), ())]
            two.hub.close(bob)
            assert await until(lambda: ada.outlet.of(Presence), within=1) == [Presence((), ("bob",))]

    @on_loop
    async def test_whoever_speaks_on_another_node_is_introduced_before_his_first_word(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            await two.say(await two.login("bob"), "hello")
            await until(lambda: len(ada.outlet.frames) == 2)
            assert [type(event) for event in ada.outlet.frames] == [Presence, ChatMessage]

    @on_loop
    async def test_who_is_on_two_nodes_is_gone_when_he_has_left_both(self, redis):
        async with Three(redis) as (one, two, three):
            ada = await one.login("ada")
            ada_too = await two.login("ada", token=ada.person.token)
            bob = await three.login("bob")
            await acquainted(one, two, three)
            one.hub.close(ada)
            await two.say(ada_too, "still here")
            await until(lambda: texts(bob))
            assert bob.outlet.of(Presence) == []
            two.hub.close(ada_too)
            await until(lambda: three.users() == {"bob"})

    @on_loop
    async def test_a_difference_that_was_lost_is_noticed_and_made_good(self, redis):
        async with Node(redis.url, kind=Forgetful) as one, Node(redis.url) as two:
            await one.login("ada")
            await acquainted(one, two)
            one.backplane.loses = True
            await one.login("bob")
            one.backplane.loses = False
            await until(lambda: two.users() == {"ada", "bob"}, within=3 * QUICK.beat + 1)

    @on_loop
    async def test_a_thousand_comings_and_goings_end_the_same_everywhere(self, redis):
        rolls = random.Random(7)
        async with Three(redis) as nodes:
            here = {}
            for n in range(1000):
                if here and rolls.random() < 0.45:
                    name = rolls.choice(sorted(here))
                    node, session = here.pop(name)
                    node.hub.close(session)
                else:
                    node = rolls.choice(nodes)
                    here[f"guest{n}"] = node, await node.login(f"guest{n}")
            assert await acquainted(*nodes) == set(here)

    @on_loop
    async def test_a_process_that_was_held_up_gives_nobody_up(self, redis, monkeypatch):
        timing = type(QUICK)(beat=0.05, lease=0.2)
        async with Node(redis.url, timing=timing) as one, Node(redis.url, timing=timing) as two:
            await one.login("ada")
            await acquainted(one, two)
            given_up = []
            monkeypatch.setattr(two.hub, "remote_left", lambda *who: given_up.append(who))
            time.sleep(1)  # neither of them runs
            heard = two.counts["received"]
            await until(lambda: two.counts["received"] > heard + 5)
            assert given_up == []

    @on_loop
    async def test_clocks_may_be_an_hour_off_and_jump(self, redis, monkeypatch):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + random.choice((-3600, 0, 3600)))
        async with Three(redis) as nodes:
            people = [await node.login(f"guest{n}") for n, node in enumerate(nodes)]
            await asyncio.sleep(2 * QUICK.lease)  # nobody must have been given up in this time
            assert await acquainted(*nodes) == {"guest0", "guest1", "guest2"}
            await nodes[2].say(people[2], "hello")
            await until(lambda: all(texts(person) for person in people))


class TestRooms:
    async def member(self, node, name, room=ROOM):
        session = await node.login(name, "password")
        session.outlet.joined = await node.do(session, Join(room))
        return session

    @on_loop
    async def test_joining_gives_the_members_and_the_last_ten_of_whichever_node(self, redis):
        async with Three(redis, ) as (one, two, three):
            alex, sue = await self.member(one, "Alex"), await self.member(two, "Sue")
            for n in range(6):
                await one.say(alex, f"a{n}", ROOM)
                await until(lambda n=n: f"a{n}" in texts(sue))
                await two.say(sue, f"s{n}", ROOM)
                await until(lambda n=n: f"s{n}" in texts(alex))
            joined = (await self.member(three, "Sandy")).outlet.joined
            assert set(joined.members) == {"Alex*", "Sue*", "Sandy*"}
            assert [message.text for message in joined.history] == [f"{who}{n}" for n in range(1, 6) for who in "as"]

    @on_loop
    async def test_the_order_is_that_of_speaking_though_the_clocks_are_an_hour_off(self, redis):
        async with Node(redis.url, skew=3600) as one, Node(redis.url, skew=-3600) as two, Node(redis.url) as three:
            alex, sue = await self.member(one, "Alex"), await self.member(two, "Sue")
            for n in range(4):
                await one.say(alex, f"a{n}", ROOM)
                await until(lambda n=n: f"a{n}" in texts(sue))
                await two.say(sue, f"s{n}", ROOM)
                await until(lambda n=n: f"s{n}" in texts(alex))
            joined = (await self.member(three, "Sandy")).outlet.joined
            assert [message.text for message in joined.history] == [f"{who}{n}" for n in range(4) for who in "as"]

    @on_loop
    async def test_those_in_a_room_are_told_who_comes_and_goes_on_other_nodes(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex = await self.member(one, "Alex")
            sue = await self.member(two, "Sue")
            await until(lambda: Presence(("Sue*",), (), ROOM) in alex.outlet.frames)
            await two.do(sue, Part(ROOM))
            await until(lambda: Presence((), ("Sue*",), ROOM) in alex.outlet.frames)
            await one.say(alex, "alone", ROOM)
            assert one.hub.rooms[ROOM].members() == ("Alex*",)
            assert texts(sue) == []

    @on_loop
    async def test_a_node_without_members_hears_nothing_of_a_room_any_more(self, redis):
        async with Three(redis, timing=type(QUICK)(beat=60)) as (one, two, three):
            alex, sue = await self.member(one, "Alex"), await self.member(two, "Sue")
            await until(lambda: one.hub.rooms[ROOM].members() == ("Alex*", "Sue*"))
            await two.do(sue, Part(ROOM))
            await until(lambda: one.hub.rooms[ROOM].members() == ("Alex*",))
            before = two.counts["received"]
            await one.say(alex, "alone", ROOM)
            await one.login("ada")
            await until(lambda: "ada" in two.users())
            assert two.counts["received"] == before + 1

    @on_loop
    async def test_who_leaves_while_somebody_elsewhere_joins_is_not_taken_for_a_member(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex, sue = await self.member(one, "Alex"), await two.login("Sue", "password")
            read, go_on, rooms = asyncio.Event(), asyncio.Event(), two.backplane._rooms
            living = rooms._living

            async def slowly(*args):
                members = await living(*args)
                read.set()
                await go_on.wait()
                return members

            rooms._living = slowly
            joining = asyncio.create_task(two.do(sue, Join(ROOM)))
            await read.wait()
            heard = two.counts["received"]
            await one.do(alex, Part(ROOM))
            await until(lambda: two.counts["received"] > heard + 2)  # beats may be among them
            go_on.set()
            assert (await joining).members == ("Sue*",)

    @on_loop
    async def test_whoever_joins_while_others_talk_hears_everything_once(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex, sue = await self.member(one, "Alex"), await two.login("Sue", "password")
            talking = asyncio.create_task(self.talk(one, alex))
            for _ in range(30):
                sue.outlet.take()
                joined = await two.do(sue, Join(ROOM))
                await until(lambda: len(texts(sue)) > 5)
                heard = [int(message.text) for message in joined.history] + [int(text) for text in texts(sue)]
                assert heard == list(range(heard[0], heard[0] + len(heard)))
                await two.do(sue, Part(ROOM))
            talking.cancel()

    async def talk(self, node, session):
        for n in range(100_000):
            await node.say(session, str(n), ROOM)
            await asyncio.sleep(0.0003)

    @on_loop
    async def test_a_message_to_a_room_is_heard_by_those_in_it_alone(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex, sue = await self.member(one, "Alex"), await two.login("Sue", "password")
            sandy = await self.member(two, "Sandy")
            await one.say(alex, "hello", ROOM)
            await until(lambda: texts(sandy))
            assert texts(sue) == []

    @on_loop
    async def test_an_empty_room_is_remembered_for_an_hour_and_not_longer(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            alex = await self.member(one, "Alex")
            await one.say(alex, "hello", ROOM)
            await one.do(alex, Part(ROOM))
            key = f"webchat:{{room:{ROOM}}}:history"
            await until(lambda: redis.call("TTL", key).startswith(b":3"))
            assert 3590 < int(redis.call("TTL", key)[1:]) <= 3600
            assert [message.text for message in (await self.member(two, "Sue")).outlet.joined.history] == ["hello"]
            two.hub.close(next(iter(two.hub.rooms[ROOM].sessions)))
            await until(lambda: redis.call("HLEN", f"webchat:{{room:{ROOM}}}:members") == b":0\r\n")
            redis.call("DEL", key)  # as after an hour
            assert (await self.member(one, "Sandy")).outlet.joined.history == ()

    @on_loop
    async def test_somebody_in_the_room_keeps_it_from_being_forgotten(self, redis, monkeypatch):
        monkeypatch.setattr("webchat.backplane.redis.LIFE", 0.4)
        async with Node(redis.url) as one:
            alex = await self.member(one, "Alex")
            await one.say(alex, "hello", ROOM)
            key = f"webchat:{{room:{ROOM}}}:history"
            await until(lambda: redis.call("EXPIRE", key, "5") == b":1\r\n")
            await until(lambda: int(redis.call("TTL", key)[1:]) > 3000)

    @on_loop
    async def test_nothing_else_is_kept_in_redis(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            ada, bob = await one.login("ada"), await two.login("bob")
            alex = await self.member(one, "Alex")
            await acquainted(one, two)
            await one.say(ada, "to everyone")
            await one.tell(ada, "bob", "to bob")
            await one.say(alex, "to the room", ROOM)
            await until(lambda: len(texts(bob)) == 2)
            kinds = {key.rsplit(b"}", 1)[-1] for key in redis.call("KEYS", "*").split() if key.startswith(b"webchat")}
            assert kinds == {b"", b":lease", b":history", b":members"}
            everything = b"".join(
                redis.call("DUMP", key.decode()) for key in redis.call("KEYS", "*").split() if b"webchat" in key)
            assert b"to the room" in everything
            assert b"to everyone" not in everything and b"to bob" not in everything
        assert [key for key in redis.call("KEYS", "*").split() if key.startswith(b"webchat")] == [
            b"webchat:{room:Taskmaster}:history"]

    @on_loop
    async def test_the_settings_in_the_docs_are_redis_settings_and_allow_all_that_a_node_does(self, tmp_path):
        docs = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
        *settings, user = docs.partition("```redis\n")[2].partition("```")[0].splitlines()
        server = RedisServer()
        try:
            server.start()
            for line in settings:
                name, *values = shlex.split(line)
                if name != "user":
                    assert server.call("CONFIG", "SET", name, " ".join(values)) == b"+OK\r\n", line
            assert server.call("ACL", "SETUSER", *user.split()[1:]) == b"+OK\r\n"
            url = f"unix://webchat:password@{server.socket}"
            async with Node(url) as one, Node(url) as two:
                alex, sue = await self.member(one, "Alex"), await self.member(two, "Sue")
                await one.say(alex, "hello", ROOM)
                await until(lambda: texts(sue))
                one.hub.close(alex)
                await until(lambda: two.users() == {"Sue*"})
                one.backplane._rooms.refresh()
                two.backplane._rooms.refresh()
                await two.backplane._claims.refresh(1)
                await two.backplane.recognises("nobody", "token")
                assert await two.backplane._claims._dead({b"0" * 16})
                assert one.is_well and two.is_well
            assert one.counts["refused"] == two.counts["refused"] == 0
        finally:
            server.close()

    @on_loop
    async def test_in_a_cluster_each_command_touches_one_slot(self, tmp_path):
        cluster = RedisServer("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf"))
        try:
            cluster.start()
            cluster.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            await until(lambda: b"cluster_state:ok" in cluster.call("CLUSTER", "INFO"))
            async with Node(cluster.url) as one, Node(cluster.url) as two:
                alex, sue = await self.member(one, "Alex"), await self.member(two, "Sue")
                for room in ("8 out of 10 cats",):
                    await one.do(alex, Join(room))
                await one.say(alex, "hello", ROOM)
                await one.tell(alex, "Sue", "psst")
                await until(lambda: texts(sue) == ["hello", "psst"])
                assert one.counts["refused"] == two.counts["refused"] == 0
        finally:
            cluster.close()
