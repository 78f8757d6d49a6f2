"""A process that is killed or stopped: its names and people are given up, and it gives them up when it resumes."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backplane.nodes import RECONNECTING, SAFETY_TIMEOUT, Node, let_in, on_loop, until
from tests.backplane.redis_server import needs_redis
from tests.backplane.test_frames import publish
from webchat.chat.errors import NameTaken
from webchat.chat.events import Join
from webchat.codecs.node import HeldName, NodeCodec, NodeState, Occupants

pytestmark = needs_redis

ROOM = "Taskmaster"

MORTAL = replace(RECONNECTING, lease=5)

ALONE = """
import asyncio, sys
from tests.backplane.nodes import Node, until
from tests.backplane.test_dead_nodes import MORTAL
from webchat.chat.events import Presence

async def main(url):
    async with Node(url, timing=MORTAL) as node:
        ada, eve = await node.login("ada"), await node.login("eve")
        print(ada.person.token, flush=True)
        await until(lambda: ada.outlet.closed is not None, within=100)
        print("closed", flush=True)
        await until(lambda: "ada" in node.users())
        missed = [event for event in eve.outlet.of(Presence) if "bob" in event.left]
        print("missed", *missed, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def another_process(url: str):
    """A node with ada and eve in a process of its own, and ada's token."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ALONE, url, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        yield process, await line_of(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process) -> str:
    return (await asyncio.wait_for(process.stdout.readline(), SAFETY_TIMEOUT)).decode().strip()


@on_loop
async def test_a_node_that_falls_silent_is_dropped_with_its_people_and_its_members_of_rooms(redis):
    dead = NodeCodec("d" * 16, "secret")
    items = {"webchat:all": NodeState(0, 0, 1, (HeldName("ada", "ada", False),)),
             f"webchat:{{room:{ROOM}}}": Occupants(ROOM, ("ada",), ())}
    async with Node(redis.url, timing=replace(MORTAL, lease=1)) as one:
        alex = await one.login("Alex", "password")
        await one.do(alex, Join(ROOM))
        for channel, item in items.items():
            await publish(redis, dead.encode(channel, [item])[0], channel)
        await until(lambda: set(one.hub.rooms[ROOM].members()) == {"Alex*", "ada"})
        assert one.users() == {"Alex*", "ada"}
        assert one.backplane.health()["nodes"] == 2
        await until(lambda: one.hub.rooms[ROOM].members() == ("Alex*",))
        assert one.users() == {"Alex*"}
        assert one.backplane.health()["nodes"] == 1


@on_loop
async def test_a_killed_nodes_names_and_people_are_gone_when_its_lease_has_ended(redis):
    async with Node(redis.url, timing=MORTAL) as one, another_process(redis.url) as (process, token):
        await until(lambda: one.users() == {"ada", "eve"})
        with pytest.raises(NameTaken):
            await one.login("ada")
        process.kill()
        again = await one.login("ada", token=token)  # the same browser need not wait
        one.hub.close(again)
        await until(lambda: not one.users())
        await one.login("ada")


@on_loop
async def test_a_node_that_was_stopped_gives_up_its_names_and_drops_nobody_when_it_resumes(redis):
    async with Node(redis.url, timing=MORTAL) as one, another_process(redis.url) as (process, _):
        await one.login("bob")
        await until(lambda: one.users() == {"ada", "eve", "bob"})
        os.kill(process.pid, signal.SIGSTOP)
        await until(lambda: one.users() == {"bob"})
        new_ada = await let_in(one, "ada")
        os.kill(process.pid, signal.SIGCONT)
        assert await line_of(process) == "closed"
        assert await line_of(process) == "missed"
        assert new_ada.outlet.closed is None
        await until(lambda: one.users() == {"ada", "eve", "bob"})
