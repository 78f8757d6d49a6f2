"""Message ids."""

from hypothesis import given
from hypothesis import strategies as st

from webchat.chat.ids import Ids


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=2, max_size=50))
def test_ids_always_grow_whatever_the_clock_does(moments):
    now = iter(moments)
    ids = Ids(clock=lambda: next(now))
    made = [ids()[0] for _ in moments]
    assert made == sorted(set(made))


def test_time_is_the_clocks_in_milliseconds():
    assert Ids(clock=lambda: 1700000000.1234)()[1] == 1700000000123


def test_ids_of_two_processes_differ():
    at_once = {"clock": lambda: 1.0}
    assert Ids(**at_once)()[0] != Ids(**at_once)()[0]


def test_all_ids_have_one_width_so_that_they_sort_as_text():
    early, late = Ids(clock=lambda: 0.0), Ids(clock=lambda: 9e9)
    assert len(early()[0]) == len(late()[0]) == 24
    assert early()[0] < late()[0]
