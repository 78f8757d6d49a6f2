"""How the records of held names are renewed, a few at a time."""

import asyncio

import pytest

from tests.backplane.nodes import STEADY, on_loop
from tests.backplane.test_nodes import World
from webchat.backplane.claims import Claims
from webchat.backplane.keys import RedisKeys
from webchat.chat import names


class Granting:
    """Stands in for the Redis client: gives `verdict` on every claim, and notes the records that are claimed.

    Every node has a lease.
    """

    def __init__(self):
        self.keys = []
        self.verdict = [b"held", b"token"]

    def execute(self, command, *arguments):
        reply = asyncio.get_running_loop().create_future()
        if command == "EVAL":
            self.keys.append(arguments[2])
        reply.set_result(self.verdict if command == "EVAL" else 1)
        return reply

    def take(self):
        taken, self.keys = self.keys, []
        return taken


async def holding(count: int) -> tuple[Claims, Granting, list[str]]:
    """The claims of a node that holds this many names, and the keys of their records."""
    world, client, keys = World(), Granting(), RedisKeys()
    claims = Claims("f" * 16, world.hub, client, world.nodes, keys, STEADY)
    held = [names.parse(f"guest{'abcdefghij'[n]}") for n in range(count)]
    for name in held:
        await claims.claim(name, False, "")
    client.take()
    return claims, client, [keys.name(name.key) for name in held]


@pytest.mark.parametrize(("count", "share", "sizes"), [
    (8, 0.25, [2, 2, 2, 2]),
    (8, 0.3, [3, 3, 2]),
    (3, 0.01, [1, 1, 1]),
    (3, 1, [3]),
    (3, 5, [3]),
])
@on_loop
async def test_each_renewal_takes_its_share_until_all_names_have_had_their_turn(count, share, sizes):
    claims, client, records = await holding(count)
    for _ in range(2):
        renewed = []
        for _ in sizes:
            await claims.renew(share)
            renewed.append(client.take())
        assert [len(each) for each in renewed] == sizes
        assert [key for each in renewed for key in each] == records


@on_loop
async def test_a_name_that_was_released_in_the_meantime_is_not_renewed():
    claims, client, records = await holding(4)
    await claims.renew(0.5)
    claims.release(names.key("guestc"))
    client.take()
    await claims.renew(1)
    assert client.take() == [records[3]]


@on_loop
async def test_a_name_that_another_node_took_is_given_up_although_its_login_has_not_ended_yet():
    claims, client, records = await holding(1)
    client.verdict = [b"taken", b"1" * 16]
    await claims.renew(1)
    assert client.take() == 2 * records  # claimed, then released
    assert claims.claim_held(names.parse("guesta"), False, "token") is None


@on_loop
async def test_a_node_without_names_renews_nothing():
    claims, client, _ = await holding(0)
    await claims.renew(1)
    assert client.take() == []
