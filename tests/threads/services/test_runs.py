"""Ending runs by the server's decision: failed, or stopped by a person."""

from __future__ import annotations

from datetime import timedelta

from threads import services
from threads.models import Run


def types(found):
    return [chunk["type"] for chunk in found]


def test_an_end_by_the_server_tells_its_readers(say, thread, chunks):
    run = say()
    services.claim_run(run_id=run.pk)

    assert services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")

    run.refresh_from_db()
    assert types(chunks(thread))[-4:] == ["start", "error", "data-run-status", "finish"]
    assert (run.state, run.error_code, run.answer.parts) == ("failed", "sandbox_down", [])
    assert run.answer.metadata["error"]["code"] == "sandbox_down"


def test_a_run_ends_once(say, thread, chunks):
    run = say()
    services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")
    before = chunks(thread)

    assert not services.finish_run(run_id=run.pk, state="completed")
    assert chunks(thread) == before


def test_stopping_ends_queued_runs_immediately_and_asks_the_active_one(say, thread, link, settings):
    link.node = settings.MESH_NODE
    link.save()
    active, queued = say(), say()
    services.claim_run(run_id=active.pk)

    assert services.cancel(thread=thread).is_over

    active.refresh_from_db()
    queued.refresh_from_db()
    assert (active.state, queued.state) == ("dispatched", "cancelled")
    assert active.cancelled_at is not None


def test_stopping_twice_keeps_the_first_time(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)
    first = Run.objects.get(pk=run.pk).cancelled_at

    services.cancel(thread=thread)

    assert Run.objects.get(pk=run.pk).cancelled_at == first


def test_a_run_on_an_offline_machine_is_stopped_for_the_person_immediately(say, thread, link):
    run = say()
    services.claim_run(run_id=run.pk)
    link.offline_after = None
    link.save()

    assert not services.cancel(thread=thread).is_over

    run.refresh_from_db()
    assert (run.state, run.stop_delivered_at) == ("cancelled", None)


def test_a_stop_that_takes_too_long_ends_the_run(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)
    asked = Run.objects.get(pk=run.pk).cancelled_at

    assert services.end_overdue_stops(now=asked + timedelta(milliseconds=900)) == 0
    assert services.end_overdue_stops(now=asked + timedelta(seconds=1)) == 1
    assert Run.objects.get(pk=run.pk).state == "cancelled"


def test_a_stopped_run_that_fails_ends_as_stopped(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)

    services.finish_run(run_id=run.pk, state="failed", code="tombstoned")

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("cancelled", "")
