"""The time limits that are promised to operators, and the clock that stands still while the process is suspended."""

from tests.chat.fakes import Clock
from webchat.backplane.redis_node import CHECK_INTERVAL
from webchat.backplane.timing import AwakeClock, Timing

DEFAULT = Timing()


def test_a_login_waits_a_second_at_most_for_redis():
    assert DEFAULT.reply_timeout <= 1


def test_the_nodes_are_one_chat_again_within_two_seconds_after_redis_is_back():
    _, longest_delay = DEFAULT.backoff
    assert longest_delay + DEFAULT.grace_period < 2


def test_a_dead_nodes_names_and_people_are_gone_within_ten_seconds():
    assert DEFAULT.lease + 3 * CHECK_INTERVAL < 10


def test_a_node_may_miss_several_heartbeats_before_it_counts_as_dead():
    assert DEFAULT.lease > 3 * (DEFAULT.heartbeat + DEFAULT.reply_timeout / 2)


def test_the_clock_counts_the_time_between_ticks():
    time = Clock()
    clock = AwakeClock(max_step=0.5, monotonic=time.time)
    for _ in range(8):
        time.advance(0.25)
        clock.tick()
    assert clock() == 2


def test_the_clock_does_not_count_time_in_which_the_process_was_suspended():
    time = Clock()
    clock = AwakeClock(max_step=0.5, monotonic=time.time)
    time.advance(3600)
    clock.tick()
    assert clock() == 0.5
