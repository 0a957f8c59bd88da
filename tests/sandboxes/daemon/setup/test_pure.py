"""The setup's pure parts: its queue, a server's announcements, the restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.setup.restarts import FIRST_WAIT, MOST, STABLE_AFTER, Restarts
from sandboxes.daemon.setup.steps import ORDER, Queue, steps_from

steps = st.sampled_from(ORDER)


@given(asked=st.lists(st.one_of(steps, st.none()), max_size=30))
def test_nothing_that_was_asked_for_is_left_undone(asked):
    """``None`` means that the running step has ended. All requested steps run, in order."""
    queue, owed = Queue(), set()
    for step in asked:
        if step is not None:
            queue = queue.add(step)
            owed.add(step)
        queue = queue.begin() if step is not None else Queue(None, queue.waiting).begin()
        if queue.running:
            owed -= set(steps_from(queue.running))
        if queue.waiting:
            assert owed <= set(steps_from(queue.waiting))
        assert queue.pending <= 1
    assert not owed or queue.waiting


def test_a_higher_step_takes_in_a_lower():
    queue = Queue(running="start")

    assert queue.add("install").add("clone").waiting == "clone"
    assert queue.add("clone").add("start").waiting == "clone"
    assert queue.add("start").add("start").waiting == "start"


@given(ran=st.lists(st.floats(0, 10 * STABLE_AFTER), max_size=20))
def test_a_server_that_keeps_crashing_is_given_up(ran):
    """At most ``MOST`` restarts in a row, each after a longer wait than the one before."""
    restarts, waits = Restarts(), []
    for ran_for in ran:
        restarts, wait = restarts.after_crash(ran_for=ran_for)
        waits = [*([] if ran_for >= STABLE_AFTER else waits), wait]
        expected = [FIRST_WAIT * 2**n for n in range(MOST)] + [None] * len(waits)
        assert waits == expected[: len(waits)]
