"""Limits in time: token buckets, sliding windows and growing pauses."""

from webchat.chat.limits import GrowingPauses, SlidingWindow, TokenBucket


class TestTokenBucket:
    def test_a_full_bucket_allows_exactly_its_burst_at_once(self):
        bucket = TokenBucket(rate=2, burst=3)
        assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]

    def test_it_refills_at_its_rate(self):
        bucket = TokenBucket(rate=2, burst=3)
        for _ in range(3):
            bucket.take(100.0)
        assert [bucket.take(at) for at in (100.4, 100.5, 100.6, 101.0)] == [False, True, False, True]

    def test_it_never_holds_more_than_its_burst(self):
        bucket = TokenBucket(rate=2, burst=3)
        bucket.take(0.0)
        assert [bucket.take(1e6) for _ in range(4)] == [True, True, True, False]

    def test_rate_0_means_no_limit(self):
        bucket = TokenBucket(rate=0, burst=0)
        assert all(bucket.take(0.0) for _ in range(1000))

    def test_a_burst_below_one_still_allows_one(self):
        bucket = TokenBucket(rate=0.1, burst=0.2)
        assert [bucket.take(at) for at in (0.0, 9.0, 10.5)] == [True, False, True]

    def test_a_clock_that_goes_back_adds_no_tokens(self):
        bucket = TokenBucket(rate=1, burst=1)
        assert [bucket.take(at) for at in (100.0, 50.0, 100.5, 101.0)] == [True, False, False, True]

    def test_a_clock_that_goes_back_takes_no_tokens(self):
        bucket = TokenBucket(rate=1, burst=3)
        assert [bucket.take(at) for at in (100.0, 50.0, 50.0, 50.0)] == [True, True, True, False]

    def test_what_was_taken_can_be_given_back_but_not_more(self):
        bucket = TokenBucket(rate=2, burst=3)
        bucket.take(100.0)
        for _ in range(2):
            bucket.give_back()
        assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]

    def test_it_is_full_when_it_is_as_good_as_new(self):
        bucket = TokenBucket(rate=2, burst=3)
        assert bucket.is_full(0.0)
        bucket.take(100.0)
        assert not bucket.is_full(100.4) and bucket.is_full(100.5)

    def test_without_a_limit_it_is_always_full(self):
        bucket = TokenBucket(rate=0, burst=0)
        bucket.take(0.0)
        assert bucket.is_full(0.0)


class TestSlidingWindow:
    def test_at_its_limit_a_key_waits_until_the_oldest_event_has_expired(self):
        window = SlidingWindow(limit=3, seconds=60)
        for at in (0.0, 10.0, 20.0):
            assert window.wait("ada", at) == 0
            window.add("ada", at)
        assert [window.wait("ada", at) for at in (20.0, 59.0, 60.0)] == [40.0, 1.0, 0.0]
        window.add("ada", 60.0)
        assert [window.wait("ada", at) for at in (69.0, 70.0)] == [1.0, 0.0]

    def test_keys_are_counted_separately(self):
        window = SlidingWindow(limit=1, seconds=60)
        window.add("ada", 0.0)
        assert window.wait("ada", 1.0) and not window.wait("bob", 1.0)

    def test_keys_whose_events_have_all_expired_are_removed(self):
        window = SlidingWindow(limit=5, seconds=60)
        for number in range(100):
            window.add(number, 0.0)
        window.add("ada", 60.0)
        assert len(window) == 1

    def test_it_keeps_a_bounded_number_of_keys_those_with_the_latest_events(self):
        window = SlidingWindow(limit=1, seconds=60, capacity=10)
        for number in range(1000):
            window.add(number, 0.0)
        assert len(window) == 10 and window.wait(999, 1.0) and not window.wait(0, 1.0)

    def test_a_key_with_a_recent_event_outlives_older_keys(self):
        window = SlidingWindow(limit=2, seconds=60, capacity=2)
        for key in ("ada", "bob", "ada", "cyd"):
            window.add(key, 0.0)
        assert window.wait("ada", 1.0) and len(window) == 2

    def test_a_key_whose_first_event_has_expired_is_kept_for_its_latest(self):
        window = SlidingWindow(limit=2, seconds=60)
        for key, at in (("ada", 0.0), ("ada", 50.0), ("bob", 61.0)):
            window.add(key, at)
        assert len(window) == 2

    def test_only_the_latest_events_up_to_the_limit_count(self):
        window = SlidingWindow(limit=2, seconds=60)
        for at in (0.0, 50.0, 55.0):
            window.add("ada", at)
        assert window.wait("ada", 109.9) and not window.wait("ada", 110.0)


class TestGrowingPauses:
    def test_there_is_none_before_the_free_events_and_then_it_doubles_up_to_the_longest(self):
        pauses, waits = GrowingPauses(free=3, longest=5.0), []
        for _ in range(7):
            waits.append(pauses.wait("ada", 100.0))
            pauses.add("ada", 100.0)
        assert [*waits, pauses.wait("ada", 100.0)] == [0, 0, 0, 1, 2, 4, 5, 5]

    def test_it_begins_with_the_last_event(self):
        pauses = GrowingPauses(free=1, longest=60.0)
        pauses.add("ada", 0.0)
        assert [pauses.wait("ada", at) for at in (0.0, 0.75, 1.0, 9.0)] == [1.0, 0.25, 0.0, 0.0]

    def test_keys_are_counted_separately(self):
        pauses = GrowingPauses(free=1, longest=60.0)
        pauses.add("ada", 0.0)
        assert pauses.wait("ada", 0.0) and not pauses.wait("bob", 0.0)

    def test_a_key_starts_anew_after_its_memory_without_an_event(self):
        pauses = GrowingPauses(free=2, longest=60.0, memory=600.0)
        for at in (0.0, 599.0, 1198.0):
            pauses.add("ada", at)
        assert pauses.wait("ada", 1198.0) == 2.0
        pauses.add("ada", 1798.0)
        assert pauses.wait("ada", 1798.0) == 0.0

    def test_any_number_of_events_can_be_counted(self):
        pauses = GrowingPauses(free=0, longest=60.0)
        for _ in range(2000):
            pauses.add("ada", 0.0)
        assert pauses.wait("ada", 0.0) == 60.0

    def test_keys_that_start_anew_are_removed(self):
        pauses = GrowingPauses(free=1, longest=60.0, memory=600.0)
        for number in range(100):
            pauses.add(number, 0.0)
        pauses.add("ada", 600.0)
        assert len(pauses) == 1

    def test_it_keeps_a_bounded_number_of_keys_those_with_the_latest_events(self):
        pauses = GrowingPauses(free=1, longest=60.0, capacity=3)
        for key in ("ada", "bob", "cyd", "ada", "dan"):
            pauses.add(key, 0.0)
        assert len(pauses) == 3 and pauses.wait("ada", 0.0) == 2.0 and not pauses.wait("bob", 0.0)
