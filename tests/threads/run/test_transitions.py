"""What each change of a run's state writes beside it, and what it owes."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.utils import timezone

from threads import services
from threads.models import Message, Run
from threads.run import state as run_state
from threads.run import transitions
from threads.run.state import AFTER, Move, WrongMove, check
from threads.run.transitions import LEASE, WAIT_FOR_MACHINE

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def run_in(say):
    """Return ``run_in(state)``: a run of Ada's in that state."""

    def make(state="queued", **facts):
        run = say()
        if state != run_state.QUEUED:
            services.claim_run(run_id=run.pk, node="A")
        Run.objects.filter(pk=run.pk).update(state=state, **facts)
        return Run.objects.select_related("prompt", "thread").get(pk=run.pk)

    return make


def end(run, state="failed", **more):
    answer = Message.objects.create(
        thread=run.thread, role="assistant", client_id=str(run.pk), seq=10_000, parts=[]
    )
    return transitions.end(run, Move(state=state, **more), answer=answer, now=NOW)


@pytest.mark.parametrize("before", AFTER)
@pytest.mark.parametrize("after", AFTER)
def test_only_what_the_table_has_is_let_through(before, after):
    if after in AFTER[before]:
        check(before, after)
    else:
        with pytest.raises(WrongMove):
            check(before, after)


@pytest.mark.parametrize("state", run_state.ACTIVE)
def test_what_the_server_ends_on_a_machine_is_to_be_stopped_there(run_in, state):
    run = run_in(state)

    owed = end(run)

    run.refresh_from_db()
    assert (owed.stop_machine, owed.releases_lease, owed.notifies) == (True, False, True)
    assert (run.stop_due_at, run.stop_delivered_at, run.cancelled_at) == (NOW, None, None)


@pytest.mark.parametrize(
    ("state", "more"),
    [
        pytest.param("queued", {}, id="it never went out"),
        pytest.param("running", {"is_told": True}, id="its sandbox has said all of it"),
    ],
)
def test_what_works_nowhere_is_not_to_be_stopped(run_in, state, more):
    run = run_in(state, leased_until=NOW)

    owed = end(run, "cancelled", **more)

    run.refresh_from_db()
    assert (owed.stop_machine, owed.releases_lease) == (False, True)
    assert (run.stop_due_at, run.leased_until) == (None, None)


def test_the_holder_of_what_must_be_stopped_keeps_its_lease(run_in):
    run = run_in("running", leased_until=NOW + LEASE)

    end(run)

    run.refresh_from_db()
    assert run.leased_until == NOW + LEASE


def test_a_person_stops_a_run_once(run_in):
    run = run_in("running")
    transitions.cancel(run, now=NOW)

    transitions.cancel(run, now=NOW + timedelta(seconds=1))

    run.refresh_from_db()
    assert (run.cancelled_at, run.stop_due_at, run.state) == (NOW, NOW, "running")


@pytest.mark.parametrize("deadline", [None, NOW + timedelta(hours=1)])
def test_what_is_put_back_expires(run_in, deadline):
    run = run_in("dispatched", expires_at=deadline, leased_until=NOW)

    owed = transitions.requeue(run, now=NOW)

    run.refresh_from_db()
    assert run.expires_at == owed.expires_at == (deadline or NOW + WAIT_FOR_MACHINE)
    assert (run.state, run.node, run.leased_until, owed.releases_lease) == (
        "queued",
        "",
        None,
        True,
    )


@pytest.mark.parametrize(
    ("before", "act"),
    [
        pytest.param("completed", lambda run: end(run), id="an end of what has ended"),
        pytest.param("running", lambda run: transitions.requeue(run, now=NOW), id="put back late"),
        pytest.param("queued", lambda run: transitions.restart(run, now=NOW), id="begun never"),
        pytest.param("queued", lambda run: end(run, "completed"), id="an answer to what waits"),
    ],
)
def test_what_the_table_does_not_have_changes_nothing(run_in, before, act):
    ended = {"finished_at": NOW} if before in run_state.FINISHED else {}
    run = run_in(before, **ended)

    with pytest.raises(WrongMove):
        act(run)

    assert Run.objects.get(pk=run.pk).state == before


def test_a_run_that_moved_meanwhile_is_not_moved_again(run_in):
    run = run_in("running")
    Run.objects.filter(pk=run.pk).update(state="waiting")

    with pytest.raises(WrongMove):
        end(run)


def test_the_progress_of_many_runs_is_written_together(run_in):
    one, two = run_in("dispatched"), run_in("queued")
    made = SimpleNamespace(id=one.pk, before="dispatched", last_n=3, move=Move(state="running"))

    transitions.advance([made], now=NOW)

    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.state, one.last_n, one.progress_at) == ("running", 3, NOW)
    assert two.state == "queued"


@pytest.mark.parametrize("state", ["failed", "queued"])
def test_events_neither_end_a_run_nor_put_it_back_by_the_way(run_in, state):
    run = run_in("running")
    made = SimpleNamespace(id=run.pk, before="running", last_n=3, move=Move(state=state))

    with pytest.raises(WrongMove):
        transitions.advance([made], now=NOW)


def rest(run, *, since, now=NOW, code="sandbox_down"):
    same = Run.objects.filter(pk=run.pk)
    found = transitions.rest(same, since=since, code=code, now=now)
    run.refresh_from_db()
    return found


@pytest.mark.parametrize(
    ("age", "least", "most", "told"),
    [
        pytest.param(None, 0.025, 0.05, "", id="from now on"),
        pytest.param(0.4, 0.2, 0.4, "", id="as long again as it was away"),
        pytest.param(4, 2, 4, "sandbox_down", id="worth a word"),
        pytest.param(3600, 2.5, 5, "sandbox_down", id="never longer than that"),
    ],
)
def test_how_soon_what_rests_is_tried_again(run_in, age, least, most, told):
    run = run_in("running")

    found = rest(run, since=age and NOW - timedelta(seconds=age))

    assert least <= (run.retry_at - NOW).total_seconds() <= most
    assert (run.resting_since, run.resting_code, run.state) == (found.since, told, "running")


def test_what_rests_keeps_its_lease_where_it_has_one(run_in):
    leased, other = run_in("running", leased_until=NOW), run_in("queued")

    rest(leased, since=None)
    rest(other, since=None)

    assert (leased.leased_until, other.leased_until) == (NOW + LEASE, None)


@pytest.mark.parametrize(
    ("silent", "away", "left"),
    [
        pytest.param(30, 10, 20, id="the time in which it was away is forgiven"),
        pytest.param(30, None, 0, id="all of it, where nobody knows for how long"),
        pytest.param(5, 10, 0, id="never more than it was silent"),
    ],
)
def test_only_its_own_silence_counts_for_a_run_that_can_be_reached_again(
    run_in, silent, away, left
):
    def ago(minutes):
        return None if minutes is None else NOW - timedelta(minutes=minutes)

    run = run_in("running", progress_at=ago(silent), resting_since=ago(away), retry_at=NOW)

    transitions.wake(run, now=NOW)

    run.refresh_from_db()
    assert run.progress_at == ago(left)
    assert (run.resting_since, run.resting_code, run.retry_at) == (None, "", None)


def test_a_machine_that_is_back_is_tried_immediately(run_in):
    run = run_in("running", resting_since=ago_an_hour(), retry_at=NOW + LEASE)

    assert transitions.retry_now(Run.objects.filter(pk=run.pk)) == 1

    run.refresh_from_db()
    assert (run.retry_at, run.resting_since) == (None, ago_an_hour())


def ago_an_hour():
    return NOW - timedelta(hours=1)


def test_an_end_ends_the_rest(run_in):
    run = run_in("running", resting_since=NOW, retry_at=NOW, resting_code="sandbox_down")

    end(run)

    run.refresh_from_db()
    assert (run.resting_since, run.resting_code, run.retry_at) == (None, "", None)


def test_what_is_written_is_what_the_statement_names():
    """The values of one run stand in the order of the columns, which SQLite goes by."""
    run = SimpleNamespace(id=uuid4(), before="running", last_n=1, move=Move(state="running"))
    with patch.object(transitions.rows, "update_many") as update:
        transitions.advance([run], now=NOW)

    [values] = update.call_args.args[2]
    assert list(values) == [*transitions._PROGRESS, "id"]
