"""Two whole servers around one Redis, as an operator starts them."""

import asyncio
import json
import time
import urllib.request

import pytest
import websockets

from tests.backplane.nodes import SAFETY_TIMEOUT, on_loop
from tests.backplane.redis_server import RedisServer, needs_redis
from tests.program import PATIENCE, LineClient, Program

pytestmark = needs_redis


@pytest.fixture(scope="module")
def redis():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def servers(redis):
    flags = ("--redis", redis.url, "--redis-key", "secret")
    with Program(*flags) as one, Program(*flags) as two:
        yield one, two


def get(server: Program, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=PATIENCE) as answer:
        return answer.read().decode()


def until(true) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + SAFETY_TIMEOUT
    while not true():
        assert time.monotonic() < deadline, f"not true within {SAFETY_TIMEOUT} s"
        time.sleep(0.02)


@on_loop
async def test_a_message_reaches_the_people_at_every_door_of_the_other_server(servers):
    one, two = servers
    with one.say("ada") as ada, two.say("bob") as bob:
        async with websockets.connect(f"ws://127.0.0.1:{two.port}/ws") as sue:
            async def ask(**request):
                await sue.send(json.dumps(request))

            async def hear(kind):
                while True:
                    event = json.loads(await asyncio.wait_for(sue.recv(), PATIENCE))
                    if event["type"] == kind:
                        return event

            await ask(type="login", username="Sue", password="password")
            assert set((await hear("welcome"))["users"]) == {"ada", "bob", "Sue*"}
            ada.write("hello")
            assert (await hear("chat_message"))["text"] == "hello"
            bob.hear("ada: hello")
            await ask(type="privmsg", to_user="ada", message="psst")
            ada.hear(r"\[private\] Sue\*: psst")
            ada.write("/login Alex password")
            ada.hear(r"-!- You are Alex\*")
            ada.write("/join Taskmaster")
            await ask(type="join", room="Taskmaster")
            assert "Sue*" in (await hear("history"))["members"]
            await ask(type="message", room="Taskmaster", message="your time starts now")
            ada.hear("Sue.*your time starts now")


def test_a_server_without_redis_serves_its_own_people_and_says_that_it_is_degraded(servers, redis):
    one, two = servers
    with one.say("cyd") as cyd, one.say("dan") as dan:
        assert json.loads(get(one, "/healthz"))["status"] == "ok"
        assert "webchat_degraded 0.0" in get(one, "/metrics")
        redis.kill()
        until(lambda: json.loads(get(one, "/healthz"))["status"] == "degraded")
        assert "webchat_degraded 1.0" in get(one, "/metrics")
        cyd.write("still here")
        dan.hear("cyd: still here")
        with LineClient(one.lines_port) as newcomer:
            newcomer.write("eve")
            newcomer.hear("New names cannot be given out")
        redis.start()
        until(lambda: all(json.loads(get(each, "/healthz"))["status"] == "ok" for each in servers))
        with two.say("eve") as eve:
            cyd.write("welcome back")
            eve.hear("cyd: welcome back")
    assert 'webchat_backplane_total{event="reconnects"} 1.0' in get(two, "/metrics")
