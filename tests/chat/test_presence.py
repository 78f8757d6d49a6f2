"""Presence: changes are collected, and each listener receives the net difference since the state it knows."""

import pytest

from tests.chat.fakes import Outlet, as_it_is
from webchat.chat.audience import Audience
from webchat.chat.events import Presence
from webchat.chat.presence import PresenceTracker
from webchat.chat.session import Session


class Tracked:
    """A tracker with its audience; `scheduled` counts how often it asked for `send_diff` to be called."""

    def __init__(self, room=None):
        self.scheduled = 0
        self.tracker = PresenceTracker(self.schedule, room)
        self.audience = Audience()

    def schedule(self):
        self.scheduled += 1

    def listener(self):
        session = Session(as_it_is, Outlet(), "192.0.2.1")
        self.audience.add(session)
        return session

    def send(self):
        self.tracker.send_diff(self.audience)


@pytest.fixture
def tracked():
    return Tracked()


def test_a_diff_has_all_joins_and_leaves_since_the_last_one(tracked):
    ada = tracked.listener()
    tracked.tracker.record_join("bob")
    tracked.tracker.record_leave("cyd")
    tracked.tracker.record_join("dan")
    tracked.send()
    assert ada.outlet.take() == [Presence(("bob", "dan"), ("cyd",))]
    tracked.tracker.record_join("eve")
    tracked.send()
    assert ada.outlet.take() == [Presence(("eve",), ())]


@pytest.mark.parametrize("changes", [("join", "leave"), ("leave", "join"), ("join", "leave", "join", "leave")])
def test_a_name_that_joined_and_left_again_is_not_in_the_diff(tracked, changes):
    ada = tracked.listener()
    for change in changes:
        tracked.tracker.record_join("bob") if change == "join" else tracked.tracker.record_leave("bob")
    tracked.send()
    assert ada.outlet.take() == []


def test_a_name_that_is_recorded_twice_is_in_the_diff_once(tracked):
    ada = tracked.listener()
    tracked.tracker.record_join("bob")
    tracked.tracker.record_join("bob")
    tracked.send()
    assert ada.outlet.take() == [Presence(("bob",), ())]


def test_a_diff_of_a_room_names_the_room():
    tracked = Tracked("Taskmaster")
    ada = tracked.listener()
    tracked.tracker.record_join("bob")
    tracked.send()
    assert ada.outlet.take() == [Presence(("bob",), (), "Taskmaster")]


def test_without_changes_nothing_is_sent(tracked):
    ada = tracked.listener()
    tracked.send()
    assert ada.outlet.take() == []


def test_a_diff_is_scheduled_once_at_the_first_change(tracked):
    assert tracked.scheduled == 0
    tracked.tracker.record_join("bob")
    tracked.tracker.record_join("cyd")
    assert tracked.scheduled == 1
    tracked.send()
    tracked.tracker.record_leave("cyd")
    assert tracked.scheduled == 2


def test_a_listener_that_was_sent_the_state_receives_only_later_changes(tracked):
    ada = tracked.listener()
    tracked.tracker.record_join("bob")
    bob = tracked.listener()
    tracked.tracker.record_state_sent(bob)
    tracked.tracker.record_join("cyd")
    tracked.send()
    assert ada.outlet.take() == [Presence(("bob", "cyd"), ())]
    assert bob.outlet.take() == [Presence(("cyd",), ())]
    tracked.tracker.record_leave("cyd")
    tracked.send()
    assert ada.outlet.take() == bob.outlet.take() == [Presence((), ("cyd",))]


def test_a_leave_after_the_state_is_sent_to_a_listener_that_knows_the_join_only_from_it(tracked):
    ada = tracked.listener()
    tracked.tracker.record_join("bob")
    cyd = tracked.listener()
    tracked.tracker.record_state_sent(cyd)
    tracked.tracker.record_leave("bob")
    tracked.send()
    assert ada.outlet.take() == []
    assert cyd.outlet.take() == [Presence((), ("bob",))]


def test_a_listener_that_was_sent_the_state_after_all_changes_receives_no_diff(tracked):
    tracked.tracker.record_join("bob")
    bob = tracked.listener()
    tracked.tracker.record_state_sent(bob)
    tracked.send()
    assert bob.outlet.take() == []


def test_a_listener_that_left_after_it_was_sent_the_state_receives_nothing(tracked):
    tracked.tracker.record_join("bob")
    bob = tracked.listener()
    tracked.tracker.record_state_sent(bob)
    tracked.tracker.record_join("cyd")
    tracked.tracker.forget(bob)
    tracked.audience.discard(bob)
    tracked.send()
    assert bob.outlet.take() == [] and bob not in tracked.audience


def test_changes_are_pending_until_they_are_sent(tracked):
    assert not tracked.tracker.pending
    tracked.tracker.record_leave("bob")
    assert tracked.tracker.pending and not tracked.tracker.has_pending_join("bob")
    tracked.tracker.record_join("cyd")
    assert tracked.tracker.has_pending_join("cyd")
    tracked.send()
    assert not tracked.tracker.pending and not tracked.tracker.has_pending_join("cyd")
