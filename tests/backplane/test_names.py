"""Names in the whole chat: one holder, whatever happens; free as soon as the holder has left or is dead."""

import asyncio
from dataclasses import replace

import pytest

from tests.backplane.nodes import QUIET, RECONNECTING, STEADY, Node, Three, acquainted, let_in, on_loop, texts, until
from tests.backplane.redis_server import command, needs_redis, proxied
from tests.chat.fakes import immediately
from webchat.backplane.redis_client import MAX_PIPELINE
from webchat.chat import names
from webchat.chat.accounts import Accounts
from webchat.chat.errors import BadCredentials, Degraded, NameTaken
from webchat.chat.events import Notice, Rename

pytestmark = needs_redis

STRANGER = "0" * 16
"""The id of a node that this test plays."""


def record(name: str) -> str:
    return f"webchat:{{name:{names.key(name)}}}"


def hold(redis, name: str, token: str = "t", account: bool = False, node: str = STRANGER) -> None:
    """Write the record of a name that a node holds."""
    redis.call("HSET", record(name), "token", token, "account", str(int(account)), node, "")


def lease(redis, node: str = STRANGER) -> None:
    redis.call("SET", f"webchat:{{node:{node}}}:lease", "1")


def holders(redis, name: str) -> int:
    """How many nodes the record of a name lists; -2 without a record."""
    return int(redis.call("HLEN", record(name))[1:]) - 2


@on_loop
async def test_a_race_of_two_hundred_over_three_nodes_has_one_winner(redis):
    async with Three(redis) as nodes:
        races = await asyncio.gather(
            *(nodes[n % 3].login("ada") for n in range(200)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in races) == ["NameTaken"] * 199 + ["Session"]
        assert await acquainted(*nodes) == {"ada"}
        winner = next(result for result in races if not isinstance(result, Exception))
        home = next(node for node in nodes if winner in node.hub.sessions)
        home.hub.close(winner)
        await until(lambda: not any(node.users() for node in nodes))
        await let_in(nodes[0], "ada")


@on_loop
async def test_a_name_that_looks_the_same_is_the_same_on_another_node(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        await one.login("ada")
        with pytest.raises(NameTaken):
            await two.login("ＡＤＡ")


@on_loop
async def test_the_same_browser_is_let_in_on_another_node(redis):
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
        await let_in(one, "ada")


@on_loop
async def test_an_account_is_on_several_nodes_and_its_token_stands_for_its_password(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        alex = await one.login("Alex", "password")
        await acquainted(one, two)
        with pytest.raises(BadCredentials):
            await two.login("Alex", token="guess")
        assert (await two.login("Alex", token=alex.person.token)).username == "Alex*"
        assert (await two.login("Alex", "password")).username == "Alex*"
        assert one.users() == two.users() == {"Alex*"}


@on_loop
async def test_a_guests_token_is_not_recognised_as_that_of_an_account(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        ada, alex = await one.login("ada"), await one.login("Alex", "password")
        for node in (one, two):
            assert not await node.backplane.recognises("ada", ada.person.token)
            assert await node.backplane.recognises(names.key("Alex"), alex.person.token)


@on_loop
async def test_a_name_is_free_at_once_when_its_holder_leaves_or_takes_another(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        ada = await one.login("ada")
        await acquainted(one, two)
        await one.do(ada, Rename("bob"))
        await until(lambda: holders(redis, "ada") == -2 and two.users() == {"bob"})
        assert (await two.login("ada")).username == "ada"
        one.hub.close(ada)
        await until(lambda: holders(redis, "bob") == -2 and two.users() == {"ada"})
        assert (await two.login("bob")).username == "bob"


@on_loop
async def test_a_node_that_leaves_properly_takes_its_people_with_it(redis):
    async with Node(redis.url, timing=QUIET) as two:
        async with Node(redis.url, timing=QUIET) as one:
            # With the last commands of a node they fill a round trip; what is published goes with the next one.
            people = {f"guest{n}" for n in range(MAX_PIPELINE - 2)}
            for name in people:
                await one.login(name)
            await until(lambda: two.users() == people)
        await until(lambda: two.users() == set() and two.backplane.health()["nodes"] == 1)
        await two.login("guest0")
        assert redis.call("EXISTS", f"webchat:{{node:{one.backplane.node}}}:lease") == b":0\r\n"


@on_loop
async def test_a_guest_gives_up_a_name_that_has_become_an_accounts(redis):
    async with Node(redis.url) as one, Node(redis.url) as two:
        one.hub.accounts = Accounts((), run=immediately)
        guest = await one.login("Sue")
        await acquainted(one, two)
        sue = await two.login("Sue", "password")
        await until(lambda: one.users() == {"Sue*"})
        assert guest.outlet.closed is not None
        assert sue.outlet.closed is None
        assert two.users() == {"Sue*"}


@on_loop
async def test_a_guest_who_logs_in_to_the_account_of_their_name_stays_and_is_known_everywhere(redis):
    async with Node(redis.url, timing=QUIET) as one, Node(redis.url, timing=QUIET) as two:
        accounts, one.hub.accounts = one.hub.accounts, Accounts((), run=immediately)
        guest, bob = await one.login("Sue"), await two.login("bob")
        await acquainted(one, two)
        one.hub.accounts = accounts
        await one.do(guest, Rename("Sue", "password"))
        await until(lambda: two.users() == {"Sue*", "bob"})
        await two.tell(bob, "Sue", "hello")
        await until(lambda: texts(guest) == ["hello"])
        assert holders(redis, "Sue") == 1


class TestDeadNodes:
    @on_loop
    async def test_a_name_is_taken_while_the_lease_of_its_node_lasts_and_free_afterwards(self, redis):
        async with Node(redis.url) as one:
            hold(redis, "ada")
            lease(redis)
            with pytest.raises(NameTaken):
                await one.login("ada")
            redis.call("DEL", f"webchat:{{node:{STRANGER}}}:lease")
            await one.login("ada")
            assert holders(redis, "ada") == 1

    @on_loop
    async def test_the_same_browser_need_not_wait_for_the_lease_to_end(self, redis):
        async with Node(redis.url) as one:
            hold(redis, "ada", "its token")
            lease(redis)
            await one.login("ada", token="its token")

    @on_loop
    async def test_one_living_holder_is_enough_to_keep_a_name(self, redis):
        async with Node(redis.url) as one:
            hold(redis, "ada")
            hold(redis, "ada", node="1" * 16)
            lease(redis)
            with pytest.raises(NameTaken):
                await one.login("ada")

    @on_loop
    async def test_a_name_keeps_its_holder_through_an_outage_although_a_dead_node_is_listed(self, redis):
        async with proxied(redis) as proxy, Node(proxy.url, timing=RECONNECTING) as one:
            ada = await one.login("ada")
            proxy.cut()
            await until(lambda: not one.is_well)
            redis.call("FLUSHALL")
            hold(redis, "ada")  # taken by a node that has died since
            proxy.mend()
            await until(lambda: one.is_well)
            assert (one.users(), ada.outlet.closed, holders(redis, "ada")) == ({"ada"}, None, 1)


class TestOutages:
    @on_loop
    async def test_a_node_that_was_cut_off_gives_up_the_names_that_others_took(self, redis):
        timing = replace(RECONNECTING, lease=0.6)
        async with proxied(redis) as proxy, Node(proxy.url, timing=timing) as one, Node(redis.url) as two:
            ada, bob = await one.login("ada"), await one.login("bob")
            await acquainted(one, two)
            proxy.cut()
            await until(lambda: not one.is_well)
            redis.call("DEL", f"webchat:{{node:{one.backplane.node}}}:lease")
            hold(redis, "ada", "another token")
            lease(redis)
            redis.call("HDEL", record("ada"), one.backplane.node)
            proxy.mend()
            await until(lambda: ada.outlet.closed is not None)
            assert [event.code for event in ada.outlet.of(Notice)] == ["name-taken"]
            await until(lambda: one.is_well and two.users() == {"bob"})
            assert (one.users(), bob.outlet.closed) == ({"bob"}, None)
            assert holders(redis, "ada") == 1  # the other node

    @on_loop
    async def test_a_token_that_another_browser_got_meanwhile_counts_for_an_account(self, redis):
        async with proxied(redis) as proxy, Node(proxy.url, timing=RECONNECTING) as one:
            alex = await one.login("Alex", "password")
            proxy.cut()
            await until(lambda: not one.is_well)
            hold(redis, "Alex", "a newer token", account=True)
            proxy.mend()
            await until(lambda: one.is_well)
            assert alex.person.token == "a newer token"
            assert await one.backplane.recognises(names.key("Alex"), "a newer token")

    @on_loop
    async def test_a_name_released_while_redis_was_away_is_free_when_it_is_back(self, redis):
        async with proxied(redis) as proxy, Node(proxy.url, timing=RECONNECTING) as one, Node(redis.url) as two:
            ada = await one.login("ada")
            proxy.cut()
            await until(lambda: not one.is_well)
            one.hub.close(ada)
            proxy.mend()
            await until(lambda: one.is_well and not two.users())
            await let_in(two, "ada")

    @on_loop
    async def test_a_login_that_is_given_up_leaves_no_name_behind(self, redis):
        async with Node(redis.url) as one, Node(redis.url) as two:
            for turns in range(20):
                login = asyncio.ensure_future(one.login("ada"))
                for _ in range(turns % 6):
                    await asyncio.sleep(0)
                if login.cancel():
                    await asyncio.wait([login])
                else:
                    one.hub.close(login.result())
            await let_in(two, "ada")

    @on_loop
    async def test_a_login_that_is_given_up_does_not_take_the_name_from_one_that_succeeds(self, redis):
        async with proxied(redis) as proxy, Node(proxy.url, timing=QUIET) as one:
            proxy.hold("EVAL")
            first, second = [asyncio.create_task(one.login("ada", token="t" * 22)) for _ in range(2)]
            await proxy.holding.wait()
            first.cancel()
            await asyncio.wait([first])
            proxy.release()
            await second
            assert not await one.backplane.recognises("nobody", "token")  # a round trip later
            assert holders(redis, "ada") == 1

    @on_loop
    async def test_a_login_whose_reply_is_lost_leaves_no_name_behind(self, redis):
        timing = replace(RECONNECTING, reply_timeout=1, heartbeat=3600)
        async with proxied(redis) as proxy, Node(proxy.url, timing=timing) as one:
            proxy.hold("EVAL")
            login = asyncio.ensure_future(one.login("ada"))
            await proxy.holding.wait()
            assert holders(redis, "ada") == 1
            with pytest.raises(Degraded):
                await login
            proxy.release()
            await until(lambda: one.is_well and holders(redis, "ada") == -2)

    @on_loop
    async def test_a_name_that_redis_has_forgotten_stays_with_its_guest_until_the_record_is_written_again(self, redis):
        slow = replace(STEADY, reply_timeout=1, heartbeat=3600)
        async with Node(redis.url, timing=slow) as one, Node(redis.url, timing=slow) as two:
            ada = await one.login("ada")
            await acquainted(one, two)
            redis.call("FLUSHALL")
            with pytest.raises(NameTaken):
                await two.login("ada")
            assert ada.outlet.closed is None

    @on_loop
    async def test_an_account_gets_a_name_that_redis_has_forgotten_at_once_although_a_guest_has_it(self, redis):
        async with Node(redis.url, timing=QUIET) as one, Node(redis.url, timing=QUIET) as two:
            one.hub.accounts = Accounts((), run=immediately)
            guest = await one.login("Sue")
            await acquainted(one, two)
            redis.call("FLUSHALL")
            await two.login("Sue", "password")
            await until(lambda: guest.outlet.closed is not None)
            assert await acquainted(one, two) == {"Sue*"}


class TestRecords:
    @on_loop
    async def test_records_are_renewed_before_they_expire(self, redis):
        timing = replace(RECONNECTING, record_lifetime=4, heartbeat=0.05)
        async with Node(redis.url, timing=timing) as one:
            records = [record((await one.login(f"guest{n}")).username) for n in range(50)]
            for each in records:
                redis.call("PEXPIRE", each, "100000")
            await until(lambda: all(0 < int(redis.call("PTTL", each)[1:]) <= 4000 for each in records))

    @on_loop
    async def test_a_record_that_is_not_renewed_expires(self, redis):
        async with Node(redis.url) as one:
            await one.login("ada")
            assert 0 < int(redis.call("TTL", record("ada"))[1:]) <= STEADY.record_lifetime

    @on_loop
    async def test_a_key_that_is_no_record_costs_neither_the_link_nor_the_other_names(self, redis):
        async with Node(redis.url, timing=replace(STEADY, record_lifetime=1)) as node:
            await node.login("ada")
            await node.login("bob")
            redis.call("DEL", record("bob"))
            redis.call("SET", record("ada"), "junk")
            await until(lambda: holders(redis, "bob") == 1)
            await until(lambda: node.counts["refused"] > 3)
            assert (node.users(), node.counts["reconnects"], node.is_well) == ({"ada", "bob"}, 0, True)

    @on_loop
    async def test_a_record_that_is_not_utf8_is_no_error(self, redis):
        for name, field in (("Alex", "token"), ("ada", "\xff" * 16)):
            hold(redis, name, account=name == "Alex")
            await command(redis, b"HSET", record(name).encode(), field.encode("latin-1"), b"\xff")
        lease(redis)
        async with Node(redis.url) as node:
            assert not await node.backplane.recognises("alex", "token")
            await node.login("Alex", "password")
            with pytest.raises(NameTaken):
                await node.login("ada")
            assert node.counts["reconnects"] == 0

    @on_loop
    async def test_a_name_that_another_node_took_is_given_up_at_the_next_renewal(self, redis):
        timing = replace(STEADY, record_lifetime=1)
        async with Node(redis.url, timing=timing) as one:
            ada = await one.login("ada")
            lease(redis)
            redis.call("EVAL", "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'token', 't', 'account', '0', "
                               f"'{STRANGER}', '')", "1", record("ada"))
            await until(lambda: ada.outlet.closed is not None)
            assert one.users() == set()
            assert texts(ada) == []
