"""Two processes at the same row at the same moment, on either database: one of them has it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import a_turn, chunk
from tests.threads.promises import assert_whole
from tests.threads.races import in_parallel
from threads import services
from threads.errors import ThreadPurged
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Event, Message, Run, Thread

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = range(5)
ROLES = 4


def numbered(*bodies, start=1):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, start)]


@pytest.mark.parametrize("turn", TURNS)
def test_one_message_sent_twice(say, thread, turn):
    runs = in_parallel(*[lambda: say("hi", client_id="c1")] * ROLES)

    assert len({run.pk for run in runs}) == 1
    assert Message.objects.count() == Run.objects.count() == 1
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_different_messages(say, thread, turn):
    runs = in_parallel(*[lambda n=n: say("hi", client_id=f"c{n}") for n in range(ROLES)])

    assert len({run.pk for run in runs}) == ROLES
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_claim(say, thread, turn):
    first, second = say("a"), say("b")
    claims = [lambda run=run: services.claim_run(run_id=run.pk) for run in (first, second)]

    assert sorted(in_parallel(*claims * 2)) == [False, False, False, True]
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_take_over(say, served, turn):
    run = say()
    services.claim_run(run_id=run.pk, node="lost")
    services.release_leases(node="lost")

    takes = [lambda n=n: services.take_over(run_id=run.pk, node=f"n{n}") for n in range(ROLES)]

    assert sorted(in_parallel(*takes)) == [False, False, False, True]


@pytest.mark.parametrize("turn", TURNS)
def test_a_new_attempt_and_the_events_of_the_old_one(say, served, turn):
    """What the old attempt brings in is before the new one, or refused."""
    run = say()
    services.claim_run(run_id=run.pk, node="A")
    commit = committing.commit

    started, [outcome] = in_parallel(
        lambda: services.restart_run(run_id=run.pk, fence=1, node="A"),
        lambda: commit([Share(run.pk, 1, numbered(*a_turn("old")[:3]))]),
    )

    assert started is True
    again = numbered(*a_turn("new"))
    assert commit([Share(run.pk, 2, again)])[0].is_over
    run.refresh_from_db()
    said = [part["text"] for part in run.answer.parts if part["type"] == "text"]
    assert said == ["new"], outcome
    assert_whole(served)


@pytest.mark.parametrize("turn", TURNS)
def test_an_end_and_a_stop(say, thread, turn):
    run = say()
    services.claim_run(run_id=run.pk)

    in_parallel(
        lambda: committing.commit([Share(run.pk, 1, numbered(*a_turn("a")))]),
        lambda: services.cancel(thread=thread),
        lambda: services.finish_run(run_id=run.pk, state="cancelled"),
    )

    run.refresh_from_db()
    assert run.state in ("completed", "cancelled")
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_two_sweeps(say, thread, link, turn):
    stuck, late = say("a"), say("b", may_wait=True)
    services.claim_run(run_id=stuck.pk)
    ago = timezone.now() - timedelta(days=4)
    Run.objects.filter(pk=stuck.pk).update(progress_at=ago)
    now = timezone.now()

    ended = in_parallel(*[lambda: services.end_stuck_runs(now=now)] * 2)
    type(link).objects.update(offline_after=None)
    Run.objects.filter(pk=late.pk).update(expires_at=ago)
    expired = in_parallel(*[lambda: services.expire_queued_runs(now=now)] * 2)

    assert (sorted(ended), sorted(expired)) == ([0, 1], [0, 1])
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_two_ends_by_the_server(say, thread, turn):
    run = say()
    services.claim_run(run_id=run.pk)
    end = [
        lambda code=code: services.finish_run(run_id=run.pk, state="failed", code=code)
        for code in ("stuck", "internal_error")
    ]

    assert sorted(in_parallel(*end)) == [False, True]
    assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_thread_deleted_while_its_agent_speaks(say, thread, turn):
    """The database itself does not look for an event's thread: the lock must."""
    run = say()
    services.claim_run(run_id=run.pk)
    share = Share(run.pk, 1, numbered(*[chunk("text-delta", id="t", delta="x")] * 50))

    in_parallel(
        lambda: committing.commit([share]), thread.delete, lambda: committing.commit([share])
    )

    assert Thread.objects.count() == Event.objects.count() == 0
    assert isinstance(committing.commit([share])[0].error, committing.Refused)


def long_deleted(thread):
    """Delete the thread, so that it may be purged from this moment on."""
    services.delete_thread(thread=thread)
    Thread.objects.filter(pk=thread.pk).update(deleted_at=timezone.now() - timedelta(days=7))


def purge():
    """Purge until nothing is due; return how many rows were removed."""
    total = 0
    while count := services.purge_deleted(now=timezone.now()):
        total += count
    return total


@pytest.mark.parametrize("turn", TURNS)
def test_two_purges(say, thread, ada, org, agent, turn):
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    for each in (thread, other):
        say("a", to=each)
        say("b", to=each)
        long_deleted(each)
    rows = sum(model.objects.count() for model in (Thread, Message, Run, Event))

    counts = in_parallel(purge, purge)

    assert sum(counts) + purge() == rows
    assert not Thread.objects.exists()


@pytest.mark.parametrize("turn", TURNS)
def test_a_purge_and_a_restore(say, thread, ada, org, turn, monkeypatch):
    """The restoring process's clock is behind: to it, the thread can still be restored."""
    say("a")
    before = Message.objects.count() + 1  # and what the deletion says of the run that waited
    long_deleted(thread)
    monkeypatch.setattr("threads.services.deletion.timezone.now", lambda: thread.created_at)

    purged, restored = in_parallel(
        lambda: services.purge_deleted(now=thread.created_at + timedelta(days=1)),
        lambda: services.restore_thread(owner=ada, organization=org, thread_id=thread.pk),
    )

    if isinstance(restored, ThreadPurged):
        assert purged > 0
    else:
        assert (purged, Message.objects.count()) == (0, before)
        assert_whole(thread)


@pytest.mark.parametrize("turn", TURNS)
def test_a_purge_and_the_end_of_its_run(say, thread, turn):
    """The agent speaks its last words while its chat is purged."""
    run = say()
    services.claim_run(run_id=run.pk)
    long_deleted(thread)
    share = Share(run.pk, 1, numbered(*a_turn("a")))
    services.mark_stop_delivered(run_id=run.pk)

    in_parallel(purge, lambda: committing.commit([share]), purge)
    services.end_overdue_stops(now=timezone.now() + timedelta(minutes=1))
    purge()

    assert Thread.objects.count() == Event.objects.count() == Message.objects.count() == 0
