"""The stages of a deleted thread: the table, case by case."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.deletion import STOP_OWED, Facts, Step, is_restorable, step_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEEP = timedelta(days=7)
SECOND = timedelta(seconds=1)


def deleted(ago, **facts):
    return Facts(deleted_at=NOW - ago, **facts)


CASES = [
    pytest.param(Facts(deleted_at=None), Step.NONE, id="not deleted"),
    pytest.param(Facts(deleted_at=None, has_unfinished_run=True), Step.NONE, id="at work"),
    pytest.param(deleted(SECOND), Step.KEEP, id="just deleted"),
    pytest.param(deleted(KEEP - SECOND), Step.KEEP, id="a second too early"),
    pytest.param(deleted(KEEP), Step.PURGE, id="its time is up"),
    pytest.param(deleted(SECOND, has_unfinished_run=True), Step.STOP, id="an agent at work"),
    pytest.param(deleted(10 * KEEP, has_unfinished_run=True), Step.STOP, id="still at work"),
    pytest.param(deleted(SECOND, owes_stop=True), Step.KEEP, id="to be told, and restorable"),
    pytest.param(deleted(KEEP, owes_stop=True), Step.WAIT, id="its machine is away"),
    pytest.param(deleted(KEEP + STOP_OWED, owes_stop=True), Step.PURGE, id="away for good"),
    pytest.param(deleted(SECOND, purge_began_at=NOW), Step.PURGE, id="begun, then kept longer"),
]


@pytest.mark.parametrize(("facts", "step"), CASES)
def test_the_next_step(facts, step):
    assert step_of(facts, now=NOW, keep=KEEP) is step


def test_without_a_period_a_thread_is_purged_immediately():
    assert step_of(deleted(timedelta(0)), now=NOW, keep=timedelta(0)) is Step.PURGE


@given(
    ago=st.timedeltas(timedelta(0), timedelta(days=100)),
    keep=st.timedeltas(timedelta(0), timedelta(days=100)),
    began=st.sampled_from([None, NOW]),
    at_work=st.booleans(),
    owes=st.booleans(),
)
def test_a_restorable_thread_is_never_purged(ago, keep, began, at_work, owes):
    facts = deleted(ago, purge_began_at=began, has_unfinished_run=at_work, owes_stop=owes)

    if is_restorable(facts, now=NOW, keep=keep):
        assert step_of(facts, now=NOW, keep=keep) in (Step.KEEP, Step.STOP)
