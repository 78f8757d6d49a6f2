"""Message ids."""

from hypothesis import given
from hypothesis import strategies as st

from webchat.chat.ids import IdGenerator


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=2, max_size=50))
def test_ids_always_increase_whatever_the_clock_does(moments):
    now = iter(moments)
    ids = IdGenerator(clock=lambda: next(now))
    made = [ids()[0] for _ in moments]
    assert made == sorted(set(made))


def test_the_time_is_that_of_the_clock_in_milliseconds():
    assert IdGenerator(clock=lambda: 1700000000.1234)()[1] == 1700000000123


def test_ids_made_by_two_processes_in_the_same_millisecond_differ():
    same_clock = {"clock": lambda: 1.0}
    assert IdGenerator(**same_clock)()[0] != IdGenerator(**same_clock)()[0]


def test_all_ids_have_the_same_length_and_sort_as_text():
    early, late = IdGenerator(clock=lambda: 0.0), IdGenerator(clock=lambda: 9e9)
    assert len(early()[0]) == len(late()[0]) == 24
    assert early()[0] < late()[0]


def test_after_observing_an_id_from_a_clock_that_is_ahead_new_ids_sort_after_it():
    slow, fast = IdGenerator(clock=lambda: 1000.0), IdGenerator(clock=lambda: 4600.0)
    observed, _ = fast()
    slow.observe(observed)
    assert slow()[0] > observed


def test_observing_an_older_id_does_not_set_the_ids_back():
    ids = IdGenerator(clock=lambda: 1000.0)
    before, _ = ids()
    ids.observe(IdGenerator(clock=lambda: 1.0)()[0])
    assert ids()[0] > before


def test_observing_something_that_is_not_an_id_changes_nothing():
    ids = IdGenerator(clock=lambda: 1000.0)
    before, _ = ids()
    ids.observe("not an id")
    assert int(ids()[0][:16], 16) == int(before[:16], 16) + 1
