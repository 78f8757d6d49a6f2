"""What an operator relies on: what Redis holds, the rights that a node needs, and Redis Cluster."""

import shlex
import socket
from dataclasses import replace
from pathlib import Path

from tests.backplane.nodes import STEADY, Node, acquainted, on_loop, texts, until
from tests.backplane.redis_server import RedisServer, needs_redis
from webchat.chat.events import Join, Part

pytestmark = needs_redis

ROOM = "Taskmaster"
HISTORY = f"webchat:{{room:{ROOM}}}:history"


async def member(node: Node, name: str):
    session = await node.login(name, "password")
    await node.do(session, Join(ROOM))
    return session


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def keys(redis) -> list[bytes]:
    return [key for key in redis.call("KEYS", "*").split() if key.startswith(b"webchat")]


@on_loop
async def test_redis_holds_names_leases_and_rooms_and_no_other_message(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        ada, bob = await one.login("ada"), await two.login("bob")
        alex = await member(one, "Alex")
        await acquainted(one, two)
        await one.say(ada, "to everyone")
        await one.tell(ada, "bob", "to bob")
        await one.say(alex, "to the room", ROOM)
        await until(lambda: len(texts(bob)) == 2)
        assert {key.rsplit(b"}", 1)[-1] for key in keys(redis)} == {b"", b":lease", b":history", b":members"}
        everything = b"".join(redis.call("DUMP", key.decode()) for key in keys(redis))
        assert b"to the room" in everything
        assert b"to everyone" not in everything and b"to bob" not in everything
    assert keys(redis) == [HISTORY.encode()]


@on_loop
async def test_the_settings_in_the_docs_are_valid_and_allow_all_that_a_node_does():
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
        server.call("HSET", "webchat:{name:ada}", "token", "t", "account", "0", "0" * 16, "")  # of a dead node
        server.call("HSET", f"webchat:{{room:{ROOM}}}:members", "0" * 16 + "Ghost", "")
        url, timing = f"unix://webchat:password@{server.socket}", replace(STEADY, record_lifetime=0.4)
        async with Node(url, timing=timing) as one, Node(url, timing=timing) as two:
            alex, sue = await member(one, "Alex"), await member(two, "Sue")
            await one.say(alex, "hello", ROOM)
            await until(lambda: texts(sue))
            await two.login("ada")
            assert not await two.backplane.recognises("nobody", "token")
            server.call("EXPIRE", HISTORY, "100")
            await until(lambda: int(server.call("TTL", HISTORY)[1:]) > 3000)  # both nodes renew what they hold
            one.hub.close(alex)
            await two.do(sue, Part(ROOM))
            await until(lambda: two.users() == {"Sue*", "ada"})
            assert one.is_well and two.is_well
        assert one.counts["refused"] == two.counts["refused"] == 0
    finally:
        server.close()


@on_loop
async def test_in_a_cluster_each_command_touches_one_slot(tmp_path):
    cluster = RedisServer("--bind", "127.0.0.1", "--cluster-enabled", "yes",
                          "--cluster-config-file", str(tmp_path / "nodes.conf"),
                          "--cluster-port", str(free_port()))
    try:
        cluster.start()
        cluster.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        await until(lambda: b"cluster_state:ok" in cluster.call("CLUSTER", "INFO"))
        async with Node(cluster.url) as one, Node(cluster.url) as two:
            alex, sue = await member(one, "Alex"), await member(two, "Sue")
            await one.do(alex, Join("8 out of 10 cats"))
            await one.say(alex, "hello", ROOM)
            await acquainted(one, two)
            await one.tell(alex, "Sue", "psst")
            await until(lambda: texts(sue) == ["hello", "psst"])
            assert one.counts["refused"] == two.counts["refused"] == 0
    finally:
        cluster.close()


@on_loop
async def test_health_counts_the_nodes(redis):
    async with Node(redis.url) as one:
        assert one.backplane.health() == {"status": "ok", "backplane": "redis", "nodes": 1}
        async with Node(redis.url) as two:
            await until(lambda: one.backplane.health()["nodes"] == two.backplane.health()["nodes"] == 2)
        await until(lambda: one.backplane.health()["nodes"] == 1)


@on_loop
async def test_a_password_with_any_characters_logs_in(redis):
    redis.call("ACL", "SETUSER", "webchat", "on", ">p@ss/w:rd#1%", "~*", "&*", "+@all")
    async with Node(f"unix://webchat:p@ss%2Fw:rd%231%25@{redis.socket}") as node:
        assert node.is_well
