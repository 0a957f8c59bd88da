"""The attempts of a run: claimed, requeued, leased, taken over, restarted."""

from __future__ import annotations

from threads import services
from threads.models import Run


def test_one_run_of_a_thread_is_active(say):
    first, second = say(), say()

    assert services.claim_run(run_id=first.pk)
    assert not services.claim_run(run_id=second.pk)
    assert not services.claim_run(run_id=first.pk)
    first.refresh_from_db()
    assert (first.state, first.fence) == ("dispatched", 1)


def test_a_run_that_was_never_sent_goes_back(say, thread, chunks):
    run = say()
    services.claim_run(run_id=run.pk)

    assert services.requeue_run(run_id=run.pk)
    assert services.claim_run(run_id=run.pk)
    run.refresh_from_db()
    assert run.fence == 2


def test_a_started_run_is_not_queued_again(say):
    run = say()
    services.claim_run(run_id=run.pk)
    Run.objects.update(last_n=1)

    assert not services.requeue_run(run_id=run.pk)


def test_a_run_of_another_fence_or_process_is_not_restarted(say, served):
    run = say()
    services.claim_run(run_id=run.pk, node="A")

    assert not services.restart_run(run_id=run.pk, fence=0, node="A")
    assert not services.restart_run(run_id=run.pk, fence=1, node="B")
    assert services.restart_run(run_id=run.pk, fence=1, node="A")
    run.refresh_from_db()
    assert (run.fence, run.state) == (2, "dispatched")


def test_a_lease_that_holds_is_not_taken(say, served):
    run = say()
    services.claim_run(run_id=run.pk, node="A")

    assert not services.take_over(run_id=run.pk, node="B")
    assert services.release_leases(node="A") == 1
    assert services.take_over(run_id=run.pk, node="B")
    assert services.renew_leases(run_ids={run.pk}, node="A") == {run.pk}


def test_a_run_that_has_ended_is_not_ours_to_renew(say, served):
    run = say()
    services.claim_run(run_id=run.pk, node="A")
    assert services.renew_leases(run_ids={run.pk}, node="A") == set()

    services.finish_run(run_id=run.pk, state="failed", code="internal_error")

    assert services.renew_leases(run_ids={run.pk}, node="A") == {run.pk}
