"""Who is in the chat, as every node knows it."""

import random
import time
from dataclasses import replace

from tests.backplane.nodes import STEADY, Node, Three, acquainted, let_in, on_loop, texts, until
from tests.backplane.redis_server import needs_redis, proxied
from webchat.chat.events import ChatMessage, Presence

pytestmark = needs_redis


@on_loop
async def test_a_node_that_starts_knows_everybody(redis):
    async with Node(redis.url) as one:
        names = {f"guest{n}" for n in range(1200)}  # more than one part of the state
        for name in names:
            await one.login(name)
        async with Node(redis.url) as two:
            assert two.users() == names


@on_loop
async def test_who_comes_and_goes_is_told_on_the_other_nodes(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        ada = await one.login("ada")
        bob = await two.login("bob")
        assert await until(lambda: ada.outlet.of(Presence)) == [Presence(("bob",), ())]
        two.hub.close(bob)
        assert await until(lambda: ada.outlet.of(Presence)) == [Presence((), ("bob",))]


@on_loop
async def test_a_speaker_on_another_node_is_introduced_before_their_first_message(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        ada = await one.login("ada")
        await two.say(await two.login("bob"), "hello")
        await until(lambda: len(ada.outlet.frames) == 2)
        assert [type(event) for event in ada.outlet.frames] == [Presence, ChatMessage]


@on_loop
async def test_a_person_on_two_nodes_is_gone_after_leaving_both(redis):
    async with Three(redis) as (one, two, three):
        ada = await one.login("ada")
        ada_too = await two.login("ada", token=ada.person.token)
        bob = await three.login("bob")
        await acquainted(one, two, three)
        await until(lambda: len(three.hub.people.find("ada").nodes) == 2)
        one.hub.close(ada)
        await until(lambda: three.hub.people.find("ada").nodes == {two.backplane.node})
        await two.say(ada_too, "still here")
        await until(lambda: texts(bob))
        assert bob.outlet.of(Presence) == []
        two.hub.close(ada_too)
        await until(lambda: three.users() == {"bob"})


@on_loop
async def test_a_change_that_was_lost_on_the_way_is_noticed_and_made_up_for(redis):
    async with proxied(redis) as proxy, Node(redis.url) as one, Node(proxy.url) as two:
        await one.login("ada")
        await acquainted(one, two)
        proxy.deaf = True
        await one.login("bob")
        await until(lambda: proxy.swallowed)
        proxy.deaf = False
        await until(lambda: two.users() == {"ada", "bob"})
        assert two.counts["reconnects"] == 0


@on_loop
async def test_a_thousand_arrivals_and_departures_end_the_same_everywhere(redis):
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
        await until(lambda: all(node.users() == set(here) for node in nodes))


@on_loop
async def test_wall_clocks_may_be_an_hour_off_and_jump(redis, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + random.choice((-3600, 0, 3600)))
    timing = replace(STEADY, heartbeat=0.02)
    async with Three(redis, timing=timing) as nodes:
        people = [await let_in(node, f"guest{n}") for n, node in enumerate(nodes)]
        assert await acquainted(*nodes) == {"guest0", "guest1", "guest2"}
        for person in people:
            person.outlet.take()
        enough = max(node.counts["received"] for node in nodes) + 50
        await until(lambda: all(node.counts["received"] > enough for node in nodes))
        assert [event for person in people for event in person.outlet.of(Presence) if event.left] == []
        await nodes[2].say(people[2], "hello")
        await until(lambda: all(texts(person) for person in people))
