"""Data migrations, up and down, with rows as an older version left them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.thorough


def migrate(target):
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


@pytest.fixture
def newest():
    """Bring the tables back to the newest version at the end."""
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.mark.django_db(transaction=True)
def test_older_runs_get_the_place_of_their_prompt(say, newest):
    from threads.models import Run

    before, after = ("threads", "0004_order_the_queue"), ("threads", "0005_number_the_queue")
    first, second = say("a"), say("b")
    migrate(before)
    Run.objects.update(position=0)
    Run.objects.filter(pk=second.pk).update(position=77)  # a run of the new version stays

    migrate(after)
    migrate(before)  # and up once more: it can be repeated
    migrate(after)

    places = dict(Run.objects.values_list("pk", "position"))
    assert places == {first.pk: first.prompt.seq, second.pk: 77}


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STOPS = [
    # Of an older version: state, fence, told or not; then whose word it was, and what is due.
    pytest.param("running", 1, False, (NOON, NOON, None), id="a person stops it"),
    pytest.param("cancelled", 2, True, (NOON, NOON, NOON), id="a person has stopped it"),
    pytest.param("cancelled", 0, False, (NOON, None, None), id="stopped before it went out"),
    pytest.param("failed", 1, False, (None, NOON, None), id="the server gave it up"),
    pytest.param("completed", 1, True, (None, NOON, NOON), id="its plan is carried out elsewhere"),
    pytest.param("expired", 0, False, (None, None, None), id="nonsense"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("state", "fence", "is_told", "found"), STOPS)
def test_a_stop_is_told_from_the_duty_to_tell_of_it(say, newest, state, fence, is_told, found):
    before, after = (
        ("threads", "0014_note_what_was_seen"),
        ("threads", "0017_drop_cancel_requested"),
    )
    run_id, ended = say().pk, NOON if state != "running" else None
    old = migrate(before).get_model("threads", "Run").objects
    told = NOON if is_told else None
    old.update(state=state, fence=fence, finished_at=ended, cancel_requested_at=NOON)
    old.update(cancel_delivered_at=told)

    migrate(after)
    back = migrate(before).get_model("threads", "Run").objects.get(pk=run_id)
    new = migrate(after).get_model("threads", "Run").objects.get(pk=run_id)

    assert (new.cancelled_at, new.stop_due_at, new.stop_delivered_at) == found
    assert back.cancel_requested_at == (NOON if any(found[:2]) else None)
    assert back.cancel_delivered_at == told


@pytest.mark.django_db(transaction=True)
def test_a_run_that_nobody_stopped_stays_so(say, newest):
    say()
    old = migrate(("threads", "0014_note_what_was_seen")).get_model("threads", "Run")
    assert old.objects.get().cancel_requested_at is None

    new = migrate(("threads", "0017_drop_cancel_requested")).get_model("threads", "Run")

    assert (new.objects.get().cancelled_at, new.objects.get().stop_due_at) == (None, None)


@pytest.mark.django_db(transaction=True)
def test_no_older_run_keeps_a_temperature_and_back_they_have_one(say, newest):
    from threads.models import Run

    first, second = say("a"), say("b")
    migrate(("threads", "0019_let_a_temperature_be_unset"))
    Run.objects.filter(pk=first.pk).update(temperature=1.5)
    migrate(("threads", "0020_forget_temperatures_nobody_read"))
    forgotten = set(Run.objects.values_list("temperature", flat=True))
    migrate(("threads", "0018_purge_deleted_threads"))

    assert forgotten == {None}
    assert dict(Run.objects.values_list("pk", "temperature")) == {first.pk: 0.5, second.pk: 0.5}
