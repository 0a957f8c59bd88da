"""A limit that does not count the time in which its process was frozen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.patience import MOST, Patience


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def look(patience, clock, *steps):
    """Return whether it was over after each of the steps in time."""
    seen = []
    for step in steps:
        clock.now += step
        seen.append(patience.is_over)
    return seen


def test_it_ends_after_its_time():
    clock = Clock()
    patience = Patience(2, clock=clock)

    assert look(patience, clock, 0.5, 0.9, 0.59, 0.02) == [False, False, False, True]


def test_a_frozen_process_has_not_waited():
    clock = Clock()
    patience = Patience(20, clock=clock)

    assert look(patience, clock, 3600, 5, 0.1) == [False] * 3


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_it_is_over_exactly_when_the_time_that_counts_is_up(steps):
    clock = Clock()
    patience, left = Patience(5, clock=clock), 5.0
    for step in steps:
        before = clock.now
        clock.now += step
        left -= min(clock.now - before, MOST)
        assert patience.is_over == (left <= 0)
