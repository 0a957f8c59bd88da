"""A schedule is whole, makes sense, and can be printed and played again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import AGENTS, BREAKS, MOST_FROZEN, MOST_THREADS, draw, read

SEEDS, LENGTHS = st.integers(0, 2**32), st.integers(0, 200)


@given(SEEDS, LENGTHS)
def test_a_seed_gives_the_same_steps_each_time(seed, length):
    assert draw(seed, length) == draw(seed, length)


@given(SEEDS, LENGTHS)
def test_what_is_printed_can_be_read(seed, length):
    steps = draw(seed, length)

    assert [read(str(step)) for step in steps] == steps


@pytest.mark.parametrize("line", ["pause", "stop 1", "kill server 50"])
def test_a_line_without_a_pause_is_no_step(line):
    with pytest.raises(ValueError, match="No step"):
        read(line)


@given(SEEDS, LENGTHS)
def test_nobody_writes_to_a_thread_before_it_is_there(seed, length):
    threads = 0
    for step in draw(seed, length):
        if step.what == "new":
            threads += 1
        elif step.what in ("speak", "command", "answer", "stop", "steer"):
            assert int(step.words[0]) < threads
    assert len(AGENTS) <= threads <= MOST_THREADS


@given(SEEDS, LENGTHS)
def test_whatever_is_frozen_is_thawed_or_killed_in_time(seed, length):
    frozen = {}
    for place, step in enumerate(draw(seed, length)):
        who = step.words[-1] if step.words else ""
        if step.what == "freeze":
            assert who not in frozen
            frozen[who] = place
        elif step.what in ("thaw", "kill") and who in frozen:
            # Other thaws may lie in between.
            assert place - frozen.pop(who) <= MOST_FROZEN * (1 + len(BREAKS))
        elif step.what == "term":
            assert who not in frozen
    assert frozen == {}


@given(SEEDS)
def test_every_kind_of_fault_comes_in_a_long_walk(seed):
    steps = draw(seed, 3_000)

    drawn = {
        (step.words[0], step.what) for step in steps if step.what in ("kill", "term", "freeze")
    }
    assert drawn == {(who, how) for who, hows in BREAKS.items() for how in hows}
