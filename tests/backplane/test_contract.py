"""What every backplane promises the hub; the local one and Redis run the same suite."""

import contextlib

import pytest

from tests.backplane.nodes import QUICK, on_loop, until
from tests.backplane.redis_server import RedisServer, needs_redis
from tests.chat.fakes import Clock, immediately
from webchat.backplane import local
from webchat.backplane.redis import RedisBackplane
from webchat.chat import names
from webchat.chat.accounts import demo_accounts
from webchat.chat.errors import NameTaken
from webchat.chat.events import ChatMessage, Notice, Presence, Typing
from webchat.chat.hub import EVERYONE, Hub, room_channel, user_channel
from webchat.chat.presence import PresenceTracker
from webchat.chat.room import Room

ADA = names.parse("ada")
ALEX = names.parse("Alex")


@pytest.fixture(scope="module")
def redis():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(params=["local", pytest.param("redis", marks=needs_redis)])
def backplane(request):
    """Makes a backplane that speaks for a hub, started and stopped."""
    @contextlib.asynccontextmanager
    async def make():
        if request.param == "local":
            made = local.LocalBackplane()
        else:
            server = request.getfixturevalue("redis")
            server.call("FLUSHALL")
            made = RedisBackplane(server.url, timing=QUICK)
        made.attach(Hub(demo_accounts(run=immediately), made, Clock()))
        await made.start()
        try:
            yield made
        finally:
            await made.stop()
    return make


def room() -> Room:
    return Room("Taskmaster", 10, PresenceTracker(lambda: None, "Taskmaster"))


@on_loop
async def test_a_free_name_is_given_with_a_token(backplane):
    async with backplane() as plane:
        assert len(await plane.claim(ADA, False, "")) >= 22


@on_loop
async def test_a_name_that_is_held_is_refused_to_everybody_without_its_token(backplane):
    async with backplane() as plane:
        await plane.claim(ADA, False, "")
        for token in ("", "guess", "é"):
            with pytest.raises(NameTaken):
                await plane.claim(ADA, False, token)


@on_loop
async def test_the_token_opens_the_name_to_another_connection(backplane):
    async with backplane() as plane:
        token = await plane.claim(ADA, False, "")
        assert await plane.claim(ADA, False, token) == token


@on_loop
async def test_a_token_shown_for_a_free_name_is_valid_again(backplane):
    async with backplane() as plane:
        token = await plane.claim(ADA, False, "")
        plane.release(ADA.key)
        assert await plane.claim(ADA, False, token) == token


@on_loop
async def test_what_could_not_be_a_token_of_ours_does_not_become_one(backplane):
    async with backplane() as plane:
        assert await plane.claim(ADA, False, "1") != "1"


@on_loop
async def test_a_released_name_is_free(backplane):
    async with backplane() as plane:
        first = await plane.claim(ADA, False, "")
        plane.release(ADA.key)
        plane.release(ADA.key)
        assert await plane.claim(ADA, False, "") != first


@on_loop
async def test_an_account_is_claimed_as_often_as_its_password_is_proved(backplane):
    async with backplane() as plane:
        token = await plane.claim(ALEX, True, "")
        assert await plane.claim(ALEX, True, "") == token


@on_loop
async def test_an_accounts_token_is_recognised_while_the_name_is_held(backplane):
    async with backplane() as plane:
        token = await plane.claim(ALEX, True, "")
        assert await plane.recognises(ALEX.key, token)
        assert not await plane.recognises(ALEX.key, "guess")
        assert not await plane.recognises(ALEX.key, "")
        plane.release(ALEX.key)
        assert not await plane.recognises(ALEX.key, token)
        assert not await plane.recognises(ALEX.key, "")


@on_loop
async def test_publishing_never_raises_whatever_the_event_and_whoever_hears_it(backplane):
    async with backplane() as plane:
        message = ChatMessage("0" * 24, 0, "ada", False, "hello")
        for event in (message, Typing("ada"), Presence(("ada",), ()), Notice("code", "words")):
            for channel in (EVERYONE, user_channel("nobody"), room_channel("Nowhere")):
                plane.publish(event, channel)


@on_loop
async def test_a_room_that_others_know_nothing_of_stays_what_it_is(backplane):
    async with backplane() as plane:
        here = room()
        await plane.enter(here)
        plane.occupants(here)
        assert (here.members(), here.history) == ((), ())


@on_loop
async def test_it_says_how_it_is(backplane):
    async with backplane() as plane:
        await until(lambda: plane.health()["status"] == "ok")
        assert plane.health()["backplane"] in ("local", "redis")


@on_loop
async def test_stopping_twice_is_stopping_once(backplane):
    async with backplane() as plane:
        await plane.stop()
