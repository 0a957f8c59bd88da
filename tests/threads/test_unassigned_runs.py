"""Messages that no worker takes: their author is told, and in the end they expire."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from threads import selectors, services
from threads.models import Run
from threads.services.unassigned_runs import END_AFTER, MARK_AFTER
from threads.serving import sweeper

pytestmark = pytest.mark.django_db


def told(later=MARK_AFTER):
    return services.mark_unassigned_runs(now=timezone.now() + later)


def ended(later):
    return services.end_unassigned_runs(now=timezone.now() + later)


def test_its_readers_are_told_once_and_the_message_still_waits(say, served, chunks):
    run = say()

    assert (told(timedelta(0)), told(), told()) == (0, 1, 0)

    said = chunks(served)[-1]["data"]
    assert (said["state"], said["code"]) == ("queued", "waits_for_worker")
    assert "No worker" in said["message"]
    [waiting] = selectors.page_of(served)["queue"]
    assert (waiting["runId"], waiting["message"]) == (str(run.pk), said["message"])


def test_a_marked_run_is_claimed_like_any_other(say, served):
    run = say()
    told()

    assert services.claim_run(run_id=run.pk)

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("dispatched", "")
    assert (told(END_AFTER), ended(2 * END_AFTER)) == (0, 0)


def test_long_after_that_it_ends_with_what_to_do(say, served, chunks):
    run = say()
    assert ended(2 * END_AFTER) == 0  # nobody was told yet
    told()

    assert (ended(END_AFTER), ended(2 * END_AFTER), ended(2 * END_AFTER)) == (0, 1, 0)

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("expired", "no_worker")
    [end] = [c["data"] for c in chunks(served) if c.get("data", {}).get("state") == "expired"]
    assert "its worker is down" in end["hint"]


def test_a_message_behind_another_is_not_the_workers_fault(say, served):
    first, second = say("a"), say("b")
    services.claim_run(run_id=first.pk)

    assert told() == 0
    services.finish_run(run_id=first.pk, state="failed")
    assert told(timedelta(seconds=20)) == 0  # it could be taken only from now on
    assert told() == 1
    second.refresh_from_db()
    assert second.error_code == "waits_for_worker"


def test_only_the_first_of_several_is_reported(say, served):
    say("a")
    say("b")

    assert told() == 1


def test_a_loop_that_waits_for_its_machine_is_another_matter(say, served, link):
    say()
    served.sandbox_provider_kind, served.link = "remote-user", link
    served.save()
    type(link).objects.update(offline_after=None)

    assert told() == 0


def test_the_link_executor_is_another_matter(say):
    say(may_wait=True)

    assert told(timedelta(days=1)) == 0


@pytest.mark.django_db(transaction=True)
async def test_a_server_of_a_cluster_looks_for_them(say_later):
    run = await say_later()

    await sweeper.watch()

    assert (await Run.objects.aget(pk=run.pk)).error_code == "waits_for_worker"


@pytest.fixture
def say_later(say, served):
    """Return ``say``, for a message of a minute ago."""
    from mesh import database_pool

    def post():
        run = say()
        Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(minutes=1))
        return run

    async def posted():
        return await database_pool.writes.run(post)

    yield posted
    database_pool.close()
