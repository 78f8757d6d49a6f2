"""Where a message goes: to every node that has a listener, once, in order, and to no other node."""

import asyncio

from tests.backplane.nodes import QUIET, Node, Three, acquainted, on_loop, texts, until
from tests.backplane.redis_server import needs_redis
from webchat.chat.events import Join, Type, Typing

pytestmark = needs_redis

ROOM = "Taskmaster"


@on_loop
async def test_a_message_to_everyone_reaches_every_person_on_every_node_once(redis):
    async with Three(redis) as nodes:
        people = [await node.login(f"guest{n}") for n, node in enumerate(nodes)]
        await acquainted(*nodes)
        await nodes[0].say(people[0], "hello")
        await until(lambda: all(texts(person) for person in people))
        await nodes[1].say(people[1], "and you")
        await until(lambda: all(len(texts(person)) > 1 for person in people))
        assert [texts(person) for person in people] == [["hello", "and you"]] * 3


@on_loop
async def test_a_private_message_reaches_all_connections_of_both_people_and_no_other_node(redis):
    async with Three(redis, timing=QUIET) as (one, two, three):
        ada = await one.login("ada")
        ada_too = await two.login("ada", token=ada.person.token)
        bob = await two.login("bob")
        await acquainted(one, two, three)
        await until(lambda: one.hub.people.find("ada").nodes == {two.backplane.node})
        await until(lambda: two.hub.people.find("ada").nodes == {one.backplane.node})
        await until(lambda: len(three.hub.people.find("ada").nodes) == 2)
        before = three.counts["received"]
        await one.tell(ada, "bob", "hush")
        await until(lambda: texts(bob) and texts(ada_too))
        await two.tell(bob, "ada", "and hush")
        await until(lambda: texts(ada))
        assert (texts(ada), texts(bob), texts(ada_too)) == (["and hush"], ["hush"], ["hush", "and hush"])
        await one.login("cyd")
        await until(lambda: "cyd" in three.users())
        assert three.counts["received"] - before == 1  # that cyd came


@on_loop
async def test_a_private_message_between_people_of_one_node_is_not_published(redis):
    async with Three(redis, timing=QUIET) as (one, two, three):
        ada, bob = await one.login("ada"), await one.login("bob")
        await acquainted(one, two, three)
        before = one.counts["published"], three.counts["received"]
        for n in range(50):
            await one.tell(ada, "bob", str(n))
        await two.login("cyd")
        await until(lambda: "cyd" in one.users() & three.users())
        assert texts(bob) == [str(n) for n in range(50)]
        assert one.counts["published"] == before[0]
        assert three.counts["received"] - before[1] == 1  # that cyd came


@on_loop
async def test_a_message_to_everyone_is_not_published_when_there_is_no_other_node(redis):
    async with Node(redis.url, timing=QUIET) as one:
        ada, bob = await one.login("ada"), await one.login("bob")
        await until(lambda: one.counts["published"] == 2)  # that both came
        await one.say(ada, "hello")
        await one.login("cyd")
        assert not await one.backplane.recognises("nobody", "token")  # a round trip later
        assert one.counts["published"] == 3  # that cyd came
        assert texts(bob) == ["hello"]


@on_loop
async def test_what_happens_in_a_room_with_members_on_one_node_reaches_no_other_node(redis):
    async with Three(redis, timing=QUIET) as (one, two, three):
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
async def test_a_message_to_a_room_reaches_its_members_alone(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex, sue, sandy = [await node.login(name, "password")
                            for node, name in ((one, "Alex"), (two, "Sue"), (two, "Sandy"))]
        await one.do(alex, Join(ROOM))
        await two.do(sandy, Join(ROOM))
        await one.say(alex, "hello", ROOM)
        await until(lambda: texts(sandy))
        assert texts(sue) == []


@on_loop
async def test_typing_hints_travel_like_messages(redis):
    async with Three(redis) as (one, two, three):
        ada, bob, cyd = await one.login("ada"), await two.login("bob"), await three.login("cyd")
        await acquainted(one, two, three)
        await one.do(ada, Type(to_user="bob"))
        assert await until(lambda: bob.outlet.of(Typing)) == [Typing("ada", to_user="bob")]
        await two.do(bob, Type())
        assert await until(lambda: cyd.outlet.of(Typing)) == [Typing("bob")]


@on_loop
async def test_each_senders_order_holds_on_every_node(redis):
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
async def test_many_messages_at_once_go_in_few_frames(redis):
    def publications():
        return int(redis.call("INFO", "commandstats").split(b"cmdstat_spublish:calls=")[1].split(b",")[0])

    async with Node(redis.url, timing=QUIET) as one, Node(redis.url, timing=QUIET) as two:
        ada, bob = await one.login("ada"), await two.login("bob")
        await acquainted(one, two)
        before = publications()
        for n in range(1000):
            await one.say(ada, str(n))
        await until(lambda: len(texts(bob)) == 1000)
        assert publications() - before < 50


@on_loop
async def test_what_redis_cannot_take_in_one_round_trip_beyond_the_limit_is_dropped_and_counted(redis):
    async with Node(redis.url, timing=QUIET) as one, Node(redis.url, timing=QUIET) as two:
        ada, bob = await one.login("ada"), await two.login("bob")
        await acquainted(one, two)
        for n in range(6000):  # without waiting, hence before the first round trip
            await one.say(ada, str(n))
        await until(lambda: texts(bob)[-1:] == ["4999"])
        assert one.counts["dropped"] == 1000
        await one.say(ada, "and on")
        await until(lambda: texts(bob)[-1] == "and on")
        assert len(texts(bob)) == 5001
