"""A thread's status, and the table of states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from threads.core.thread_status import is_unread, thread_status
from threads.run.state import AFTER, FINISHED, UNFINISHED, states_before


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ((None, False, None), "idle"),
        ((None, True, "completed"), "queued"),
        (("dispatched", True, None), "running"),
        (("running", False, "failed"), "running"),
        (("waiting", False, None), "requires_action"),
        ((None, False, "expired"), "failed"),
        ((None, False, "cancelled"), "cancelled"),
        ((None, False, "completed"), "completed"),
    ],
)
def test_thread_status(facts, status):
    active, queued, last = facts
    assert thread_status(active=active, queued=queued, last=last) == status


def test_the_table_of_states_is_complete():
    assert set(AFTER) == {*UNFINISHED, *FINISHED}
    assert all(not AFTER[state] for state in FINISHED)
    assert states_before("dispatched") == ("queued", "dispatched", "running", "waiting")


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("last", "ended", "unread"),
    [
        pytest.param(None, None, False, id="nothing has ended"),
        pytest.param("completed", LATER, True, id="an answer"),
        pytest.param("failed", LATER, True, id="a failure"),
        pytest.param("expired", LATER, True, id="nobody came for it"),
        pytest.param("cancelled", LATER, False, id="stopped by the person"),
        pytest.param("completed", NOON, False, id="seen at its end"),
        pytest.param("completed", NOON - timedelta(days=1), False, id="seen long after"),
    ],
)
def test_a_run_that_ended_since_the_last_look_is_unread(last, ended, unread):
    assert is_unread(last=last, ended=ended, seen=NOON) is unread
