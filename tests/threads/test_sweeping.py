"""Runs that are stuck, runs nobody came for, and events whose answers are stored."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mesh.services import make_token
from tests.threads.promises import assert_whole
from threads import selectors, services
from threads.models import Approval, Event, Run
from threads.run.transitions import WAIT_FOR_MACHINE
from threads.services.sweeping import KEEP

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LONG = timedelta(minutes=11)  # the demo agent may be silent for ten minutes


@pytest.fixture
def working(say):
    """Return ``working(state, silent)``: a run in that state, silent for so long."""

    def make(state="running", silent=LONG):
        run = say()
        services.claim_run(run_id=run.pk)
        Run.objects.filter(pk=run.pk).update(state=state, progress_at=timezone.now() - silent)
        return run

    return make


def end_stuck():
    return services.end_stuck_runs(now=timezone.now())


@pytest.mark.parametrize("state", ["dispatched", "running"])
def test_a_run_without_progress_is_failed_and_its_machine_told_to_stop(working, state):
    run = working(state)

    assert (end_stuck(), end_stuck()) == (1, 0)

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "stuck")
    assert run.stop_due_at is not None
    assert (run.stop_delivered_at, run.cancelled_at) == (None, None)


def test_readers_learn_why(working, thread, chunks):
    working()

    end_stuck()

    *_, error, status, finish = chunks(thread)
    assert "sent nothing for too long" in error["errorText"]
    assert (status["data"]["state"], status["data"]["code"]) == ("failed", "stuck")
    assert finish["type"] == "finish"


def test_age_alone_is_no_reason(working):
    run = working(silent=timedelta(minutes=9))
    Run.objects.filter(pk=run.pk).update(created_at=NOW - timedelta(days=30))

    assert end_stuck() == 0


def test_who_waits_for_an_answer_is_not_stuck(working):
    run = working("waiting", silent=timedelta(days=3))
    Approval.objects.create(run=run, approval_id="a", tool_call_id="c", input={}, level="auto")

    assert end_stuck() == 0


def test_a_run_whose_machine_is_away_is_not_stuck(working, link):
    working(silent=timedelta(days=3))
    link.offline_after = timezone.now() - timedelta(seconds=1)
    link.save(update_fields=["offline_after"])

    assert end_stuck() == 0


@pytest.mark.parametrize("state", ["dispatched", "running", "waiting"])
def test_a_run_that_can_not_be_reached_for_too_long_is_failed_with_the_cause(working, state):
    run = working(state, silent=timedelta(0))
    now = timezone.now()
    resting = Run.objects.filter(pk=run.pk)
    resting.update(resting_since=now - LONG, retry_at=now, resting_code="timestamp_drift")

    assert end_stuck() == 1

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "timestamp_drift")
    assert run.stop_due_at is not None


def test_a_run_whose_machine_is_back_is_tried_before_it_is_stuck(working):
    """It rested all night with its machine, and counts from the next try in vain."""
    run = working("running", silent=LONG)
    services.rest_run(_unreachable(run), node="")
    Run.objects.update(resting_since=timezone.now() - timedelta(hours=9))
    services.retry_runs(link_id=run.thread.link_id)

    assert end_stuck() == 0


def test_a_run_that_no_worker_tries_any_more_is_stuck(served, say):
    """Its container could not be reached, and then the worker went, too."""
    services.claim_run(run_id=say().pk)
    Run.objects.update(resting_since=timezone.now() - LONG, retry_at=timezone.now() - LONG)

    assert end_stuck() == 1


def _unreachable(run):
    return services.Unreachable(
        run_id=run.pk, fence=1, since=None, shown_code="", code="link_offline"
    )


def test_a_run_that_is_joined_again_gets_its_whole_time_again(working):
    run = working(silent=timedelta(days=3))

    services.wake_run(run_id=run.pk)

    assert end_stuck() == 0


@pytest.fixture
def late(say, link):
    """A run that was to wait for its machine, and has waited too long."""
    away(link)
    run = say(may_wait=True)
    assert run.expires_at == run.created_at + WAIT_FOR_MACHINE
    Run.objects.filter(pk=run.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return run


def away(link):
    link.offline_after = timezone.now() - timedelta(seconds=1)
    link.save(update_fields=["offline_after"])


def expire():
    return services.expire_queued_runs(now=timezone.now())


def test_a_run_whose_machine_did_not_come_expires(late):
    assert (expire(), expire()) == (1, 0)

    late.refresh_from_db()
    assert (late.state, late.error_code) == ("expired", "expired")
    assert late.answer.metadata["error"]["hint"].startswith("Send it again")


def test_a_run_whose_machine_is_back_is_left_to_the_dispatcher(late, link):
    link.offline_after = timezone.now() + timedelta(minutes=1)
    link.save(update_fields=["offline_after"])

    assert expire() == 0


def test_a_run_that_was_sent_meanwhile_continues(late, link):
    services.claim_run(run_id=late.pk)

    assert expire() == 0


def test_a_run_whose_machine_is_there_has_no_deadline(say):
    run = say()

    expire()

    run.refresh_from_db()
    assert (run.state, run.expires_at) == ("queued", None)


def test_a_run_that_is_put_back_expires(say, link):
    """It was accepted for a machine that had just been closed."""
    run = say()
    services.claim_run(run_id=run.pk)
    services.requeue_run(run_id=run.pk)
    away(link)

    assert services.expire_queued_runs(now=timezone.now() + WAIT_FOR_MACHINE) == 1
    run.refresh_from_db()
    assert run.state == "expired"


def test_a_message_behind_another_expires_once_the_machine_has_gone(say, link):
    at_work = say()
    services.claim_run(run_id=at_work.pk)
    Run.objects.filter(pk=at_work.pk).update(state="running")
    behind = say("and then?")
    away(link)
    assert expire() == 0

    assert services.expire_queued_runs(now=timezone.now() + WAIT_FOR_MACHINE) == 1
    behind.refresh_from_db()
    assert behind.state == "expired"


def test_what_was_on_its_way_when_its_machine_went_for_good_expires(working, link):
    run = working("dispatched", silent=WAIT_FOR_MACHINE)
    away(link)

    assert expire() == 1

    run.refresh_from_db()
    assert (run.state, run.stop_due_at is None) == ("expired", False)


@pytest.fixture
def answered(say):
    """Return ``answered(ago)``: a run that was answered so long ago."""

    def make(ago):
        run = say()
        services.claim_run(run_id=run.pk)
        services.finish_run(run_id=run.pk, state="completed")
        services.mark_stop_delivered(run_id=run.pk)
        Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - ago)
        run.refresh_from_db()
        return run

    return make


def prune():
    return services.prune_events(now=timezone.now())


OLD = KEEP + timedelta(hours=1)


def test_events_of_old_answers_go_and_the_page_stays_the_same(answered, thread):
    answered(OLD)
    answered(timedelta(hours=1))
    before = selectors.page_of(thread)
    events = Event.objects.count()

    removed = prune()

    assert 0 < removed < events
    assert Event.objects.count() == events - removed
    assert prune() == 0
    assert selectors.page_of(thread) == before


def test_a_long_journal_is_pruned_bit_by_bit(answered, thread, monkeypatch):
    """So that no other writer waits long; the page is the same at every step."""
    monkeypatch.setattr("threads.services.sweeping.EVENTS_AT_ONCE", 2)
    answered(OLD)
    answered(OLD)
    before, events = selectors.page_of(thread), Event.objects.count()

    counts = []
    while count := prune():
        counts.append(count)
        assert selectors.page_of(thread) == before
        assert_whole(thread)

    assert max(counts) == 2
    assert sum(counts) == events


def test_nothing_is_taken_out_of_the_middle(answered, say, thread):
    open_run = say()  # its first events stand before the old answer's
    answered(OLD)

    prune()

    left = Event.objects.filter(thread=thread).order_by("seq").values_list("seq", flat=True)
    thread.refresh_from_db()
    assert list(left) == list(range(thread.pruned_seq + 1, thread.last_seq + 1))
    assert Event.objects.filter(run=open_run).exists()


def test_a_young_thread_is_left_alone(answered):
    answered(KEEP - timedelta(hours=1))

    assert prune() == 0


@pytest.fixture
def get(client, ada, thread):
    """Return ``get(query)``: the answer to a reader of the thread's stream."""
    headers = {"Authorization": f"Bearer {make_token(user=ada)}"}

    async def read(query):
        url = f"/api/home/decopilot/threads/{thread.pk}/stream{query}"
        return await client.get(url, headers=headers)

    return read


@pytest.fixture
def client(async_client):
    return async_client


@pytest.mark.django_db(transaction=True)
async def test_a_reader_with_an_old_cursor_learns_what_to_do(answered, get, thread):
    from asgiref.sync import sync_to_async

    from mesh import database_pool

    run = await sync_to_async(answered)(OLD)
    await sync_to_async(prune)()

    for query in ("?after=1", f"?run={run.pk}&after=1"):
        answer = await get(query)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (410, "cursor_too_old")
    # Who resumes without a number is told that there is nothing to resume.
    assert (await get(f"?run={run.pk}")).status_code == 204
    await sync_to_async(thread.refresh_from_db)()
    for query in (f"?after={thread.pruned_seq}", ""):
        assert (await get(query)).status_code == 200
    database_pool.close()


@pytest.mark.django_db(transaction=True)
async def test_a_run_whose_beginning_is_gone_is_not_told_from_its_middle(say, get, thread):
    """Another message waited while it went on, and that one's events are still needed."""
    from asgiref.sync import sync_to_async

    from mesh import database_pool

    def make():
        run, waiting = say("a"), say("b")
        services.claim_run(run_id=run.pk)
        services.finish_run(run_id=run.pk, state="failed", code="internal_error")
        Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - OLD)
        services.prune_events(now=timezone.now())
        return run, waiting

    run, waiting = await sync_to_async(make)()

    assert (await get(f"?run={run.pk}")).status_code == 204
    for query in (f"?run={run.pk}&after=3", f"?run={waiting.pk}"):
        assert (await get(query)).status_code == 200
    database_pool.close()
