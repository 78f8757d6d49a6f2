"""Redis down, slow, blackholed, stopped, restarted, flushed: the chat goes on here, and is one again at once after."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.backplane.nodes import Node, on_loop, texts, until
from tests.backplane.redis_server import Proxy, RedisServer, needs_redis
from webchat.backplane.timing import Timing
from webchat.chat.errors import Degraded, NameTaken
from webchat.chat.events import Join, Presence

pytestmark = needs_redis

ROOM = "Taskmaster"

REAL = Timing()


class Trouble:
    """A Redis in trouble between `begin` and `end`; `url` is what the nodes get."""

    def __init__(self, server: RedisServer, proxy: Proxy):
        self.server, self.proxy, self.url = server, proxy, proxy.url

    def begin(self) -> None: ...

    def end(self) -> None: ...


class Killed(Trouble):
    def begin(self):
        self.server.kill()

    def end(self):
        self.server.start()


class Stopped(Trouble):
    def begin(self):
        self.server.pause()

    def end(self):
        self.server.resume()


class Slow(Trouble):
    def begin(self):
        self.proxy.delay = 2.0

    def end(self):
        self.proxy.mend()


class Blackholed(Trouble):
    def begin(self):
        self.proxy.blackhole()

    def end(self):
        self.proxy.mend()


class Cut(Trouble):
    def begin(self):
        self.proxy.cut()

    def end(self):
        self.proxy.mend()


TROUBLES = [Killed, Stopped, Slow, Blackholed, Cut]


@asynccontextmanager
async def redis_in(trouble):
    server = RedisServer().start()
    proxy = await Proxy(server).start()
    try:
        yield trouble(server, proxy)
    finally:
        await proxy.stop()
        server.close()


async def talk(node, speaker, said, pace=0.01):
    """Say numbers without end; how long each took goes to `said`, in seconds."""
    while True:
        began = time.perf_counter()
        await node.say(speaker, str(len(said)))
        said.append(time.perf_counter() - began)
        await asyncio.sleep(pace)


async def through(trouble):
    """Two nodes and their people, before, during and after."""
    async with redis_in(trouble) as redis, Node(redis.url, timing=REAL) as one, Node(redis.url, timing=REAL) as two:
        ada, bob, cyd = await one.login("ada"), await one.login("bob"), await two.login("cyd")
        await until(lambda: one.users() == two.users() == {"ada", "bob", "cyd"})
        said = []
        talking = asyncio.create_task(talk(one, ada, said))
        await until(lambda: len(texts(cyd)) > 10)

        redis.begin()
        await until(lambda: not one.is_well and not two.is_well, within=4)
        began = time.perf_counter()
        for node in (one, two):
            with pytest.raises(Degraded):
                await node.login("dan")
        assert time.perf_counter() - began < 0.1  # nobody waits for what is known to be away
        again = await one.login("ada", token=ada.person.token)
        one.hub.close(bob)
        during = len(said)
        await until(lambda: len(said) > during + 50)

        redis.end()
        ended = time.monotonic()
        await until(lambda: one.is_well and two.is_well, within=2)
        await until(lambda: one.users() == two.users() == {"ada", "cyd"}, within=2 - (time.monotonic() - ended))
        await two.login("dan")
        after = len(said)
        await until(lambda: str(after + 10) in texts(cyd))
        talking.cancel()

        assert texts(ada) == [str(n) for n in range(len(texts(ada)))]  # none lost, none doubled
        assert len(texts(ada)) - len(said) in (0, 1)
        assert texts(again) == texts(ada)[-len(texts(again)):]
        heard = [int(text) for text in texts(cyd)]
        assert heard == sorted(set(heard))
        assert sorted(said)[int(len(said) * 0.99)] < 0.02
        assert one.counts["dropped"] >= 50


ALONE = """
import asyncio, sys
from tests.backplane.nodes import Node, until
from webchat.backplane.timing import Timing
from webchat.chat.events import Presence

async def main(url):
    async with Node(url, timing=Timing()) as node:
        ada, eve = await node.login("ada"), await node.login("eve")
        print(ada.person.token, flush=True)
        await until(lambda: ada.outlet.closed is not None, within=60)
        print("gave way", flush=True)
        await until(lambda: "ada" in node.users())
        missed = [event for event in eve.outlet.of(Presence) if "bob" in event.left]
        print("blames", *missed, flush=True)
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def another_process(url: str):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ALONE, url, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        process.token = (await process.stdout.readline()).decode().strip()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()


async def kill():
    async with redis_in(Trouble) as redis, Node(redis.url, timing=REAL) as one, another_process(redis.url) as other:
        await until(lambda: one.users() == {"ada", "eve"})
        other.kill()
        killed = time.monotonic()
        with pytest.raises(NameTaken):
            await one.login("ada")
        again = await one.login("ada", token=other.token)  # the same browser need not wait
        one.hub.close(again)
        await until(lambda: not one.users(), within=10)
        await one.login("ada")
        assert time.monotonic() - killed < 10


async def stop():
    async with redis_in(Trouble) as redis, Node(redis.url, timing=REAL) as one, another_process(redis.url) as other:
        await one.login("bob")
        await until(lambda: one.users() == {"ada", "eve", "bob"})
        os.kill(other.pid, signal.SIGSTOP)
        await until(lambda: one.users() == {"bob"}, within=10)
        usurper = await one.login("ada")
        os.kill(other.pid, signal.SIGCONT)
        assert await asyncio.wait_for(other.stdout.readline(), 3) == b"gave way\n"
        assert await asyncio.wait_for(other.stdout.readline(), 3) == b"blames\n"
        assert usurper.outlet.closed is None
        await until(lambda: one.users() == {"ada", "eve", "bob"})


@pytest.fixture(scope="module")
def outcomes():
    """What became of the scenarios that take long, played at the same time: None, or the exception."""
    async def play():
        scenes = {trouble: through(trouble) for trouble in TROUBLES} | {each: each() for each in (kill, stop)}
        return dict(zip(scenes, await asyncio.gather(*scenes.values(), return_exceptions=True), strict=True))
    return asyncio.run(asyncio.wait_for(play(), 60))


def well(outcome):
    if outcome:
        raise outcome


@pytest.mark.parametrize("trouble", TROUBLES)
def test_local_chat_goes_on_and_the_nodes_are_one_chat_again_within_two_seconds(outcomes, trouble):
    well(outcomes[trouble])


def test_a_killed_node_loses_its_names_and_its_presence_within_ten_seconds(outcomes):
    well(outcomes[kill])


def test_a_node_that_was_stopped_gives_way_and_blames_nobody_when_it_goes_on(outcomes):
    well(outcomes[stop])


@on_loop
async def test_after_a_flush_everything_is_there_again_within_two_seconds():
    async with redis_in(Trouble) as redis, Node(redis.url, timing=REAL) as one, Node(redis.url, timing=REAL) as two:
        ada = await one.login("ada")
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        for node, session in ((one, alex), (two, sue)):
            await node.do(session, Join(ROOM))
        for n in range(12):
            await one.say(alex, str(n), ROOM)
        await until(lambda: len(texts(sue)) == 12)
        ada.outlet.take()

        redis.server.call("FLUSHALL")
        with pytest.raises(NameTaken):  # not even in the moment before the record is written again
            await two.login("ada")
        await until(lambda: redis.server.call("HLEN", "webchat:{name:ada}") == b":3\r\n", within=2)
        sandy = await two.login("Sandy", "password")
        joined = await two.do(sandy, Join(ROOM))
        assert set(joined.members) == {"Alex*", "Sue*", "Sandy*"}
        assert [message.text for message in joined.history] == [str(n) for n in range(2, 12)]
        await until(lambda: redis.server.call("ZCARD", f"webchat:{{room:{ROOM}}}:history") == b":10\r\n", within=2)
        async with Node(redis.url, timing=REAL) as three:
            assert three.users() == {"ada", "Alex*", "Sue*", "Sandy*"}
            await three.do(await three.login("Alex", "password"), Join(ROOM))
            assert set(three.hub.rooms[ROOM].members()) == {"Alex*", "Sue*", "Sandy*"}
        assert one.is_well and two.is_well
        assert [event for event in ada.outlet.of(Presence) if event.left] == []


@on_loop
async def test_a_room_catches_up_with_what_was_said_on_both_sides_of_an_outage():
    async with redis_in(Cut) as redis, Node(redis.url) as one, Node(redis.url) as two:
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
        await one.say(alex, "after", ROOM)
        await until(lambda: len(texts(sue)) == 4)
        assert sorted(texts(alex)) == sorted(texts(sue)) == ["after", "alone", "alone, too", "before"]
        assert one.hub.rooms[ROOM].history == two.hub.rooms[ROOM].history
        assert one.hub.rooms[ROOM].members() and set(two.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"}


@on_loop
async def test_a_room_can_be_joined_while_redis_is_away():
    async with redis_in(Cut) as redis, Node(redis.url) as one, Node(redis.url) as two:
        alex, sue = await one.login("Alex", "password"), await two.login("Sue", "password")
        await until(lambda: one.users() == two.users() == {"Alex*", "Sue*"})
        redis.begin()
        await until(lambda: not one.is_well and not two.is_well)
        assert (await one.do(alex, Join(ROOM))).members == ("Alex*",)
        await two.do(sue, Join(ROOM))
        await one.say(alex, "hello", ROOM)
        redis.end()
        await until(lambda: set(two.hub.rooms[ROOM].members()) == {"Alex*", "Sue*"})
        await one.say(alex, "again", ROOM)
        await until(lambda: "again" in texts(sue))
        await until(lambda: [message.text for message in two.hub.rooms[ROOM].history] == ["hello", "again"])


@on_loop
async def test_a_room_remembers_what_was_under_way_when_redis_fell_silent_though_everybody_left():
    async with redis_in(Blackholed) as redis, Node(redis.url) as one, Node(redis.url) as two:
        alex = await one.login("Alex", "password")
        await one.do(alex, Join(ROOM))
        redis.begin()
        await one.say(alex, "the last word", ROOM)
        await until(lambda: not one.is_well)
        one.hub.close(alex)
        redis.end()
        await until(lambda: one.is_well and two.is_well)
        joined = await two.do(await two.login("Sue", "password"), Join(ROOM))
        assert [message.text for message in joined.history] == ["the last word"]


@on_loop
async def test_a_mistake_of_ours_is_logged_once_and_the_link_begun_anew(caplog):
    async with redis_in(Trouble) as redis, Node(redis.url) as one:
        refresh = one.backplane._claims.refresh

        async def fail(share):
            one.backplane._claims.refresh = refresh
            raise KeyError("a mistake")

        one.backplane._claims.refresh = fail
        await until(lambda: one.counts["reconnects"] and one.is_well)
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert record.exc_info[0] is KeyError
        await one.login("ada")


@on_loop
async def test_a_login_that_meets_the_silence_first_waits_a_second_at_most():
    async with redis_in(Blackholed) as redis, Node(redis.url, timing=REAL) as one:
        redis.begin()
        began = time.perf_counter()
        with pytest.raises(Degraded):
            await one.login("ada")
        assert time.perf_counter() - began < 1.2
        assert one.users() == set()


@on_loop
async def test_a_server_starts_while_redis_is_away_and_joins_the_others_later():
    async with redis_in(Killed) as redis:
        redis.begin()
        began = time.perf_counter()
        async with Node(redis.url) as one, Node(redis.url) as two:
            assert time.perf_counter() - began < 2
            assert not one.is_well
            with pytest.raises(Degraded):
                await one.login("ada")
            redis.end()
            await until(lambda: one.is_well and two.is_well, within=2)
            await one.login("ada")
            await until(lambda: two.users() == {"ada"})


@on_loop
async def test_a_subscription_that_hears_nothing_any_more_is_noticed_and_begun_anew():
    async with redis_in(Trouble) as redis, Node(redis.url) as one, Node(redis.url) as two:
        ada, bob = await one.login("ada"), await two.login("bob")
        await until(lambda: one.users() == two.users() == {"ada", "bob"})
        redis.proxy.deaf = True
        await until(lambda: one.counts["reconnects"] and two.counts["reconnects"])
        redis.proxy.deaf = False
        await until(lambda: one.is_well and two.is_well)
        await one.say(ada, "hello")
        await until(lambda: "hello" in texts(bob))


@on_loop
async def test_a_lost_subscription_alone_is_noticed_too():
    async with redis_in(Trouble) as redis, Node(redis.url) as one, Node(redis.url) as two:
        bob = await two.login("bob")
        ada = await one.login("ada")
        await until(lambda: one.users() == two.users() == {"ada", "bob"})
        redis.server.call("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: one.counts["reconnects"] and two.counts["reconnects"] and one.is_well and two.is_well)
        await one.say(ada, "hello")
        await until(lambda: texts(bob))
        assert one.users() == two.users() == {"ada", "bob"}


@on_loop
async def test_an_outage_is_a_line_or_two_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    async with redis_in(Cut) as redis, Node(redis.url) as one:
        for _ in range(5):  # it comes and goes
            redis.begin()
            await until(lambda: not one.is_well)
            redis.end()
            await until(lambda: one.is_well)
        redis.begin()
        await until(lambda: not one.is_well)
        for _ in range(50):
            with pytest.raises(Degraded):
                await one.login("ada")
            await one.hub._backplane.recognises("x", "y")
    assert 1 <= len([record for record in caplog.records if record.name.startswith("webchat")]) <= 2
