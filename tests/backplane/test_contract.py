"""What every backplane promises the hub. The local one and that of Redis run the same tests."""

import contextlib

import pytest

from tests.backplane.nodes import STEADY, on_loop, until
from tests.backplane.redis_server import needs_redis
from tests.chat.fakes import Clock, immediately
from webchat.backplane import local
from webchat.backplane.address import parse
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


@pytest.fixture(params=["local", pytest.param("redis", marks=needs_redis)])
def backplane(request):
    """Makes a backplane that speaks for a hub, started and stopped."""
    @contextlib.asynccontextmanager
    async def make():
        if request.param == "local":
            made = local.LocalBackplane()
        else:
            made = RedisBackplane(parse(request.getfixturevalue("redis").url), timing=STEADY)
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
async def test_a_held_name_is_refused_without_its_token(backplane):
    async with backplane() as plane:
        await plane.claim(ADA, False, "")
        for token in ("", "guess", "é", "\ud800"):
            with pytest.raises(NameTaken):
                await plane.claim(ADA, False, token)


@on_loop
async def test_a_held_name_is_given_to_another_connection_with_its_token(backplane):
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
async def test_a_string_without_the_form_of_a_token_does_not_become_one(backplane):
    async with backplane() as plane:
        for shown in ("1", "\ud800" * 22, "é" * 22):
            assert await plane.claim(ADA, False, shown) != shown
            plane.release(ADA.key)


@on_loop
async def test_a_released_name_is_free(backplane):
    async with backplane() as plane:
        first = await plane.claim(ADA, False, "")
        plane.release(ADA.key)
        plane.release(ADA.key)
        assert await plane.claim(ADA, False, "") != first


@on_loop
async def test_an_accounts_name_is_given_to_every_connection_that_has_proved_the_password(backplane):
    async with backplane() as plane:
        token = await plane.claim(ALEX, True, "")
        assert await plane.claim(ALEX, True, "") == token


@on_loop
async def test_an_account_that_takes_a_guests_name_gets_a_token_that_the_guest_does_not_know(backplane):
    async with backplane() as plane:
        guests = await plane.claim(ALEX, False, "")
        assert await plane.claim(ALEX, True, "") != guests
        assert not await plane.recognises(ALEX.key, guests)


@on_loop
async def test_a_name_that_an_account_holds_is_refused_to_a_guest_even_with_its_token(backplane):
    async with backplane() as plane:
        token = await plane.claim(ALEX, True, "")
        with pytest.raises(NameTaken):
            await plane.claim(ALEX, False, token)


@on_loop
async def test_a_guests_token_is_not_recognised(backplane):
    async with backplane() as plane:
        assert not await plane.recognises(ADA.key, await plane.claim(ADA, False, ""))


@on_loop
async def test_an_accounts_token_is_recognised_while_the_name_is_held(backplane):
    async with backplane() as plane:
        token = await plane.claim(ALEX, True, "")
        assert await plane.recognises(ALEX.key, token)
        assert not await plane.recognises(ALEX.key, "guess")
        assert not await plane.recognises(ALEX.key, "\ud800")
        assert not await plane.recognises(ALEX.key, "")
        plane.release(ALEX.key)
        assert not await plane.recognises(ALEX.key, token)
        assert not await plane.recognises(ALEX.key, "")


@on_loop
async def test_publishing_never_raises_whatever_the_event_and_the_channel(backplane):
    async with backplane() as plane:
        message = ChatMessage("0" * 24, 0, "ada", False, "hello")
        for event in (message, Typing("ada"), Presence(("ada",), ()), Notice("code", "words")):
            for channel in (EVERYONE, user_channel("nobody"), room_channel("Nowhere")):
                plane.publish(event, channel)


@on_loop
async def test_a_room_that_no_other_node_knows_stays_as_it_is(backplane):
    async with backplane() as plane:
        here = room()
        await plane.enter(here)
        plane.occupants(here)
        assert (here.members(), here.history) == ((), ())


@on_loop
async def test_a_room_that_nobody_has_entered_may_be_reported_empty(backplane):
    async with backplane() as plane:
        here = room()
        plane.occupants(here)
        assert here.members() == ()


@on_loop
async def test_health_has_a_status_and_the_kind_of_backplane(backplane):
    async with backplane() as plane:
        await until(lambda: plane.health()["status"] == "ok")
        assert plane.health()["backplane"] in ("local", "redis")


@on_loop
async def test_stopping_twice_does_no_harm(backplane):
    async with backplane() as plane:
        await plane.stop()
