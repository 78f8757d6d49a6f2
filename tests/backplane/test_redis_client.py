"""The Redis client: pipelining, time limits, subscriptions, and reconnecting."""

import asyncio
import contextlib
import logging
from collections import Counter
from dataclasses import replace

import pytest
from redis.exceptions import ResponseError

from tests.backplane.nodes import STEADY, on_loop, until
from tests.backplane.redis_server import RedisServer, needs_redis, proxied
from webchat.backplane.address import parse
from webchat.backplane.redis_client import RedisClient, Unreachable
from webchat.backplane.timing import Timing

pytestmark = needs_redis


class Handler:
    """Uses a connection for as long as it lasts, and notes what it is told."""

    def __init__(self):
        self.connections = self.losses = 0
        self.commands = []
        self.received_messages = []

    async def connected(self):
        self.connections += 1
        await asyncio.Event().wait()

    def pending_commands(self):
        taken, self.commands = self.commands, []
        return taken

    def received(self, channel, data):
        self.received_messages.append((channel, data))

    def disconnected(self):
        self.losses += 1


@contextlib.asynccontextmanager
async def running(url, timing=STEADY, handler=None, **options):
    """A client that has connected, its handler, and its counts."""
    handler, counts = handler or Handler(), Counter()
    client = RedisClient(parse(url), "the-name", timing, counts, **options)
    task = asyncio.create_task(client.run(handler))
    try:
        await until(lambda: handler.connections)
        yield client, handler, counts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not client.is_connected


class TestCommands:
    @on_loop
    async def test_replies_belong_to_their_commands_however_many_are_sent_at_once(self, redis):
        async with running(redis.url) as (client, _, _):
            replies = [client.execute("ECHO", n) for n in range(1200)]
            assert await asyncio.gather(*replies) == [b"%d" % n for n in range(1200)]

    @on_loop
    async def test_commands_are_executed_in_the_order_in_which_they_were_sent(self, redis):
        async with running(redis.url) as (client, handler, _):
            for n in range(1200):
                client.send("RPUSH", "list", n)
            handler.commands = [("RPUSH", "list", "pending")]
            client.schedule_round_trip()
            await until(lambda: redis.call("LLEN", "list") == b":1201\r\n")
            assert await client.execute("LRANGE", "list", 0, -1) == [*(b"%d" % n for n in range(1200)), b"pending"]

    @on_loop
    async def test_a_command_that_redis_refuses_is_counted_and_the_connection_stays(self, redis):
        async with running(redis.url) as (client, handler, counts):
            with pytest.raises(ResponseError):
                await client.execute("NONSENSE")
            assert await client.execute("ECHO", "on") == b"on"
            assert (counts["refused"], handler.losses) == (1, 0)

    @on_loop
    async def test_a_refused_command_that_nobody_waits_for_is_logged(self, redis, caplog):
        async with running(redis.url) as (client, _, counts):
            client.send("NONSENSE")
            await client.execute("PING")
            assert counts["refused"] == 1
            assert ["NONSENSE" in record.getMessage() for record in caplog.records] == [True]

    @on_loop
    async def test_what_a_refused_command_contained_is_not_in_the_log(self, redis, caplog):
        async with running(redis.url) as (client, _, _):
            client.send("NONSENSE", "what ada said")
            with pytest.raises(ResponseError, match="what ada said"):
                await client.execute("NONSENSE", "what ada said")
            assert "NONSENSE" in caplog.text and "ada" not in caplog.text

    @on_loop
    async def test_a_caller_that_stops_waiting_harms_nobody(self, redis):
        async with running(redis.url) as (client, handler, _):
            for command in ("PING", "NONSENSE"):
                client.execute(command).cancel()
            assert await client.execute("ECHO", "on") == b"on"
            assert handler.losses == 0

    @on_loop
    async def test_a_reply_that_takes_too_long_ends_the_connection_and_nothing_is_sent_twice(self, redis):
        async with proxied(redis) as proxy, running(proxy.url, replace(STEADY, reply_timeout=1)) as (client, *rest):
            handler, counts = rest
            proxy.hold("INCR")
            first, second = client.execute("INCR", "number"), client.execute("INCR", "number")
            await proxy.holding.wait()
            later = client.execute("INCR", "number")  # waits in the queue
            for reply in (first, second, later):
                with pytest.raises(Unreachable):
                    await reply
            proxy.release()
            await until(lambda: client.is_connected)
            assert await client.execute("GET", "number") == b"2"
            assert (handler.losses, counts["reconnects"]) == (1, 1)

    @on_loop
    async def test_without_a_connection_every_command_fails_at_once(self):
        client = RedisClient(parse("unix:///nowhere"), "the-name", STEADY, Counter())
        client.send("PING")
        for future in (client.execute("PING"), client.subscribe("channel")):
            assert isinstance(future.exception(), Unreachable)
        client.unsubscribe("channel")


class TestSubscriptions:
    @on_loop
    async def test_a_confirmed_subscription_receives_every_message_in_order(self, redis):
        async with running(redis.url) as (client, handler, _):
            await client.subscribe("channel")
            for n in range(10):
                client.send("SPUBLISH", "channel", n)
            await until(lambda: len(handler.received_messages) == 10)
            assert handler.received_messages == [("channel", b"%d" % n) for n in range(10)]

    @on_loop
    async def test_subscribing_twice_is_one_subscription(self, redis):
        async with running(redis.url) as (client, handler, _):
            await asyncio.gather(client.subscribe("channel"), client.subscribe("channel"))
            assert await client.execute("SPUBLISH", "channel", "x") == 1
            await until(lambda: handler.received_messages == [("channel", b"x")])

    @on_loop
    async def test_subscriptions_are_made_again_after_a_reconnect_but_not_those_that_were_ended(self, redis):
        async with running(redis.url) as (client, handler, _):
            channels = [f"channel {n}" for n in range(600)]
            await asyncio.gather(*map(client.subscribe, channels))
            client.unsubscribe(channels[0])
            redis.call("CLIENT", "KILL", "TYPE", "pubsub")
            await until(lambda: handler.connections == 2)
            await asyncio.gather(*map(client.subscribe, channels[1:]))
            assert [await client.execute("SPUBLISH", channel, "x") for channel in channels[:2]] == [0, 1]

    @on_loop
    async def test_a_subscription_that_is_ended_before_its_confirmation_can_be_made_again(self, redis):
        async with running(redis.url) as (client, _, _):
            first = client.subscribe("channel")
            client.unsubscribe("channel")
            assert first.cancelled()
            await client.subscribe("channel")
            await until(lambda: redis.call("PUBSUB", "SHARDNUMSUB", "channel").endswith(b":1\r\n"))

    @on_loop
    async def test_a_caller_that_stops_waiting_does_not_end_the_subscription(self, redis):
        async with running(redis.url) as (client, _, _):
            client.subscribe("channel").cancel()
            await client.subscribe("channel")
            assert await client.execute("SPUBLISH", "channel", "x") == 1


class TestConnection:
    @on_loop
    async def test_both_connections_have_a_name_that_an_operator_can_find(self, redis):
        async with running(redis.url):
            assert redis.call("CLIENT", "LIST").count(b"name=the-name ") == 2

    @pytest.mark.parametrize("kind", ["normal", "pubsub"])
    @on_loop
    async def test_the_loss_of_either_connection_is_noticed_and_both_are_made_again(self, redis, kind):
        async with running(redis.url) as (client, handler, counts):
            await client.subscribe("channel")
            redis.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            await until(lambda: handler.losses or client.send("PING"))
            await until(lambda: handler.connections == 2)
            await client.subscribe("channel")
            assert await client.execute("SPUBLISH", "channel", "x") == 1
            assert (handler.losses, counts["reconnects"]) == (1, 1)

    @on_loop
    async def test_a_primary_that_has_become_a_replica_is_left_for_the_new_primary(self, redis):
        new_primary = RedisServer().start()
        try:
            async with proxied(redis) as proxy, running(proxy.url) as (client, handler, counts):
                await client.execute("SET", "key", "old")
                redis.call("REPLICAOF", "127.0.0.1", "1")
                proxy.server = new_primary
                with pytest.raises(Unreachable):
                    await client.execute("SET", "key", "new")
                await until(lambda: handler.connections == 2)
                await client.execute("SET", "key", "new")
                assert new_primary.call("GET", "key") == b"$3\r\nnew\r\n"
                assert (counts["reconnects"], counts["refused"]) == (1, 0)
        finally:
            redis.call("REPLICAOF", "NO", "ONE")
            new_primary.close()

    @on_loop
    async def test_a_bug_in_the_handler_is_logged_once_and_the_client_reconnects(self, redis, caplog):
        class Faulty(Handler):
            async def connected(self):
                self.connections += 1
                if self.connections == 1:
                    raise KeyError("a bug")
                await asyncio.Event().wait()

        async with running(redis.url, handler=Faulty()) as (client, handler, _):
            await until(lambda: handler.connections == 2)
            assert await client.execute("PING") == b"PONG"
            (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
            assert record.exc_info[0] is KeyError

    @on_loop
    async def test_a_message_that_cannot_be_processed_is_logged_and_the_next_ones_are(self, redis, caplog):
        class Faulty(Handler):
            def received(self, channel, data):
                if data == b"bad":
                    raise KeyError("a bug")
                super().received(channel, data)

        async with running(redis.url, handler=Faulty()) as (client, handler, _):
            await client.subscribe("channel")
            for text in ("bad", "bad", "good"):
                client.send("SPUBLISH", "channel", text)
            await until(lambda: handler.received_messages == [("channel", b"good")])
            assert (handler.losses, len(caplog.records)) == (0, 1)

    @pytest.mark.parametrize("answer", [
        b"-ERR unknown command 'AUTH', with args beginning with: 'webchat' 's3cret' \r\n", b"500 AUTH s3cret?\r\n",
        b"-ERR \x1b[2J\r\n",
    ])
    @on_loop
    async def test_the_reason_for_an_outage_repeats_no_password_and_no_control_character(self, tmp_path, answer):
        async def answer_and_close(_, writer):
            writer.write(answer)
            await writer.drain()
            writer.close()

        path = tmp_path / "other.sock"
        server = await asyncio.start_unix_server(answer_and_close, path)
        client = RedisClient(parse(f"unix://webchat:s3cret@{path}"), "the-name", STEADY, Counter())
        task = asyncio.create_task(client.run(Handler()))
        await client.attempted.wait()
        assert client.last_error.isprintable() and "s3cret" not in client.last_error
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()

    @on_loop
    async def test_the_delay_between_attempts_doubles_up_to_a_limit_and_starts_anew_after_a_success(self, redis):
        delays = []

        async def sleep(seconds):
            delays.append(seconds)
            await asyncio.sleep(0)

        async with proxied(redis) as proxy:
            timing = replace(STEADY, backoff=(1, 5))
            async with running(proxy.url, timing, sleep=sleep) as (client, handler, _):
                for loss in (1, 2):
                    delays.clear()
                    proxy.cut()
                    await until(lambda: len(delays) > 6)
                    proxy.mend()
                    await until(lambda loss=loss: handler.connections == 1 + loss)
                    longest = (1, 2, 4, 5, 5, 5)
                    assert all(most / 2 <= delay <= most for delay, most in zip(delays, longest, strict=False))
                    assert len(set(delays[3:6])) > 1  # random, so that nodes do not reconnect in step

    @on_loop
    async def test_a_redis_that_accepts_connections_but_does_not_answer_counts_as_unreachable(self, tmp_path):
        writers = []
        path = tmp_path / "silent.sock"
        server = await asyncio.start_unix_server(lambda _, writer: writers.append(writer), path)
        client = RedisClient(parse(f"unix://{path}"), "the-name", replace(STEADY, reply_timeout=0.1), Counter())
        task = asyncio.create_task(client.run(Handler()))
        await client.attempted.wait()
        assert not client.is_connected
        assert client.last_error == "no reply in time"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        server.close()

    @on_loop
    async def test_the_client_ends_although_the_handler_catches_a_cancellation(self, redis):
        class Stubborn(Handler):
            async def connected(self):
                self.connections += 1
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.Event().wait()

        async with running(redis.url, handler=Stubborn()):
            pass

    @pytest.mark.parametrize(("url", "database"), [("redis://host", 0), ("redis://host/3", 3), ("unix:///s?db=2", 2)])
    def test_the_database_is_the_one_in_the_url(self, url, database):
        assert RedisClient(parse(url), "the-name", STEADY, Counter()).database == database


class TestLog:
    @pytest.mark.parametrize(("interval", "lines"), [(3600, ["one"]), (0, ["one", "two"])])
    @on_loop
    async def test_a_line_is_written_at_most_once_in_the_interval(self, caplog, interval, lines):
        client = RedisClient(parse("unix:///nowhere"), "the-name", Timing(log_interval=interval), Counter())
        written = [client.log_rarely(logging.WARNING, "%s", text) for text in ("one", "two")]
        assert written == [text in lines for text in ("one", "two")]
        assert [record.getMessage() for record in caplog.records] == lines

    @on_loop
    async def test_lines_of_different_texts_do_not_displace_each_other(self, caplog):
        client = RedisClient(parse("unix:///nowhere"), "the-name", Timing(log_interval=3600), Counter())
        assert [client.log_rarely(logging.WARNING, text) for text in ("one", "two", "one")] == [True, True, False]
