"""Audiences: who receives an event, and how often it is encoded."""

import pytest

from tests.chat.fakes import Outlet, as_it_is
from webchat.chat.audience import Audience
from webchat.chat.events import Notice
from webchat.chat.session import Session

EVENT = Notice("code", "A sentence.")


def nothing(event):
    return None


def code(event):
    return event.code


def listener(encode=as_it_is):
    return Session(encode, Outlet(), "192.0.2.1")


@pytest.fixture
def audience():
    return Audience()


def test_an_event_is_sent_to_every_listener_in_the_frame_of_its_encoder(audience):
    one, other = listener(), listener(code)
    audience.add(one)
    audience.add(other)
    audience.send(EVENT)
    assert (one.outlet.frames, other.outlet.frames) == ([EVENT], ["code"])


def test_a_listener_that_was_added_twice_receives_an_event_once(audience):
    one = listener()
    audience.add(one)
    audience.add(one)
    audience.send(EVENT)
    assert one.outlet.frames == [EVENT]


def test_the_skipped_listener_receives_nothing_and_all_others_do(audience):
    skipped, same_encoder, other_encoder = listener(), listener(), listener(code)
    for each in (skipped, same_encoder, other_encoder):
        audience.add(each)
    audience.send(EVENT, skip=skipped)
    assert [each.outlet.frames for each in (skipped, same_encoder, other_encoder)] == [[], [EVENT], ["code"]]


def test_an_event_that_an_encoder_does_not_show_is_not_sent(audience):
    blind, seeing = listener(nothing), listener()
    audience.add(blind)
    audience.add(seeing)
    audience.send(EVENT)
    assert (blind.outlet.frames, seeing.outlet.frames) == ([], [EVENT])


def test_an_event_is_encoded_once_for_all_listeners_with_the_same_encoder(audience):
    encoded = []

    def encode(event):
        encoded.append(event)
        return event

    for _ in range(20):
        audience.add(listener(encode))
    audience.send(EVENT)
    assert encoded == [EVENT]


def test_a_discarded_listener_receives_nothing_more(audience):
    one, other = listener(), listener()
    audience.add(one)
    audience.add(other)
    audience.discard(one)
    audience.send(EVENT)
    assert (one.outlet.frames, other.outlet.frames) == ([], [EVENT])


def test_an_event_is_not_encoded_when_the_last_listener_of_an_encoder_is_gone(audience):
    def encode(event):
        raise AssertionError("This must not be called.")

    one = listener(encode)
    audience.add(one)
    audience.discard(one)
    audience.send(EVENT)


def test_discarding_a_listener_that_is_not_there_does_nothing(audience):
    audience.add(one := listener())
    audience.discard(listener())
    audience.discard(listener(code))
    assert list(audience) == [one]


def test_it_is_a_collection_of_its_listeners(audience):
    one, other, stranger = listener(), listener(code), listener()
    audience.add(one)
    audience.add(other)
    assert len(audience) == 2 and set(audience) == {one, other}
    assert one in audience and other in audience and stranger not in audience
