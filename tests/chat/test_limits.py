"""Flood limits: a token bucket for messages, a sliding window for wrong passwords."""

from webchat.chat.limits import SlidingWindow, TokenBucket


class TestTokenBucket:
    def test_a_burst_passes_at_once_and_no_more(self):
        bucket = TokenBucket(rate=2, burst=3)
        assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]

    def test_it_fills_at_its_rate(self):
        bucket = TokenBucket(rate=2, burst=3)
        for _ in range(3):
            bucket.take(100.0)
        assert [bucket.take(at) for at in (100.4, 100.5, 100.6, 101.0)] == [False, True, False, True]

    def test_it_never_holds_more_than_its_burst(self):
        bucket = TokenBucket(rate=2, burst=3)
        bucket.take(0.0)
        assert [bucket.take(1e6) for _ in range(4)] == [True, True, True, False]

    def test_rate_0_is_no_limit(self):
        bucket = TokenBucket(rate=0, burst=0)
        assert all(bucket.take(0.0) for _ in range(1000))

    def test_a_slow_rate_lets_one_through_all_the_same(self):
        bucket = TokenBucket(rate=0.1, burst=0.2)
        assert [bucket.take(at) for at in (0.0, 9.0, 10.5)] == [True, False, True]

    def test_a_clock_that_goes_back_gives_nothing(self):
        bucket = TokenBucket(rate=1, burst=1)
        assert [bucket.take(at) for at in (100.0, 50.0, 100.5, 101.0)] == [True, False, False, True]


class TestSlidingWindow:
    def test_is_full_after_its_limit_until_the_first_has_passed(self):
        window = SlidingWindow(limit=3, seconds=60)
        for at in (0.0, 10.0, 20.0):
            assert not window.is_full("ada", at)
            window.add("ada", at)
        assert window.is_full("ada", 20.0) and window.is_full("ada", 59.9)
        assert not window.is_full("ada", 60.0)
        window.add("ada", 60.0)
        assert window.is_full("ada", 69.0) and not window.is_full("ada", 70.0)

    def test_counts_each_apart(self):
        window = SlidingWindow(limit=1, seconds=60)
        window.add("ada", 0.0)
        assert window.is_full("ada", 1.0) and not window.is_full("bob", 1.0)

    def test_forgets_what_has_passed(self):
        window = SlidingWindow(limit=5, seconds=60)
        for number in range(100):
            window.add(number, 0.0)
        window.add("ada", 60.0)
        assert len(window) == 1

    def test_remembers_a_bounded_number_the_latest(self):
        window = SlidingWindow(limit=1, seconds=60, capacity=10)
        for number in range(1000):
            window.add(number, 0.0)
        assert len(window) == 10 and window.is_full(999, 1.0) and not window.is_full(0, 1.0)
