"""Deleted threads: restored for a while, then gone for good, whatever happens in between."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mesh.selectors import NotFound
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState
from sandboxes.providers.base import SandboxEvent
from sandboxes.services import record_sandbox
from tests.threads.doubles import a_turn, chunk
from threads import services
from threads.core.deletion import PURGED
from threads.errors import ThreadPurged
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import (
    AgentOptions,
    Approval,
    ApprovalRule,
    Attachment,
    BackgroundWork,
    Event,
    Message,
    Run,
    Steer,
    Thread,
)

pytestmark = pytest.mark.django_db(transaction=True)

KEEP = timedelta(days=7)
WEEK_LATER = KEEP + timedelta(minutes=1)


def numbered(*bodies, start=1):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, start)]


def answer(run):
    services.claim_run(run_id=run.pk)
    committing.commit([Share(run.pk, 1, numbered(*a_turn("an answer")))])


def age(thread, by=WEEK_LATER):
    Thread.objects.filter(pk=thread.pk).update(deleted_at=timezone.now() - by)


def purge():
    return services.purge_deleted(now=timezone.now())


def purge_all():
    counts = []
    while count := purge():
        counts.append(count)
    return counts


def models_of_a_thread():
    """Every model whose rows refer to a thread, over however many others."""
    found, waiting = {}, [Thread]
    while waiting:
        for relation in waiting.pop()._meta.related_objects:
            if relation.related_model not in found:
                found[relation.related_model] = relation
                waiting.append(relation.related_model)
    return set(found)


@pytest.fixture
def full(say, thread, ada, org):
    """A thread with rows of every model in it."""
    first, second = say("hi"), say("and?")
    answer(first)
    Steer.objects.create(run=second, into=first, asked_by=ada)
    AgentOptions.objects.create(thread=thread, harness_id="codex")
    rule = ApprovalRule.objects.create(thread=thread, tool="Bash", scope="tool", created_by=ada)
    Approval.objects.create(
        run=first, approval_id="a", tool_call_id="c", input={}, level="auto", rule=rule
    )
    Attachment.objects.create(
        organization=org,
        owner=ada,
        thread=thread,
        name="a",
        media_type="text/plain",
        size=1,
        data=b"a",
    )
    return thread


@pytest.fixture
def due(full):
    """The same, deleted a week ago."""
    services.delete_thread(thread=full)
    age(full)
    return full


def test_every_model_that_refers_to_a_thread_is_purged():
    assert models_of_a_thread() == {apps.get_model("threads", rows.model) for rows in PURGED}


def test_no_row_is_left(due):
    # Its agent was still at work when the purge began: nobody waits for that machine any more.
    BackgroundWork.objects.create(thread=due)
    Thread.objects.filter(pk=due.pk).update(purge_began_at=timezone.now())
    rows = models_of_a_thread()
    assert all(model.objects.exists() for model in rows)

    purge_all()

    assert {model.__name__: model.objects.count() for model in {Thread, *rows}} == {
        model.__name__: 0 for model in {Thread, *rows}
    }


def test_the_other_threads_keep_everything(due, say, ada, org, agent):
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    answer(say("of the other", to=other))

    purge_all()

    assert Thread.objects.get() == other
    assert Message.objects.count() == 2
    assert Event.objects.filter(thread=other).exists()


def test_a_thread_is_kept_until_its_time_is_up(full):
    services.delete_thread(thread=full)
    age(full, by=KEEP - timedelta(minutes=1))

    assert purge() == 0
    assert Thread.objects.exists()


def test_a_thread_that_was_not_deleted_is_not_touched(full):
    assert purge() == 0


def test_the_operator_sets_the_period(full, settings):
    settings.MESH_KEEP_DELETED_DAYS = 0
    services.delete_thread(thread=full)

    assert purge_all()
    assert not Thread.objects.exists()


def test_restoring_gives_back_everything(full, ada, org):
    before = {model: list(model.objects.order_by("pk").values()) for model in (Message, Attachment)}
    services.delete_thread(thread=full)

    for _ in range(2):  # safe to repeat
        services.restore_thread(owner=ada, organization=org, thread_id=full.pk)

    full.refresh_from_db()
    assert full.deleted_at is None
    for model, rows in before.items():
        kept = {row["id"]: row for row in model.objects.values()}
        assert all(kept[row["id"]] == row for row in rows)


@pytest.mark.parametrize("purged", [False, True], ids=["not yet purged", "in the middle"])
def test_what_was_deleted_too_long_ago_is_not_restored(due, ada, org, settings, purged):
    if purged:
        purge()
        # Prolonging the period brings back nothing that is half gone.
        settings.MESH_KEEP_DELETED_DAYS = 1000

    with pytest.raises(ThreadPurged):
        services.restore_thread(owner=ada, organization=org, thread_id=due.pk)


def test_a_purged_thread_is_unknown(due, ada, org):
    purge_all()

    with pytest.raises(NotFound):
        services.restore_thread(owner=ada, organization=org, thread_id=due.pk)


def test_nobody_restores_the_thread_of_another(full, bob, eve, org):
    services.delete_thread(thread=full)

    for person in (bob, eve):
        with pytest.raises(NotFound):
            services.restore_thread(owner=person, organization=org, thread_id=full.pk)
    full.refresh_from_db()
    assert full.deleted_at is not None


def test_nobody_restores_into_another_organization(full, ada, eve):
    services.delete_thread(thread=full)
    other = eve.organizations.get()

    with pytest.raises(NotFound):
        services.restore_thread(owner=ada, organization=other, thread_id=full.pk)


def test_a_thread_that_is_purged_says_nothing_of_itself(due):
    Thread.objects.filter(pk=due.pk).update(title="My secret", session_ref="s")

    purge()

    assert Thread.objects.values_list("title", "session_ref").get() == ("", "")


def test_no_batch_is_larger_than_its_model_allows(due, say):
    many = [Event(thread=due, seq=due.last_seq + 1_000 + n, chunk="{}") for n in range(2_500)]
    Event.objects.bulk_create(many)

    counts = purge_all()

    assert max(counts) == 1_000
    assert not Event.objects.exists()


def test_a_batch_takes_few_statements(due):
    Event.objects.bulk_create(
        [Event(thread=due, seq=100_000 + n, chunk="{}") for n in range(1_500)]
    )

    with CaptureQueriesContext(
        connection,
    ) as queries:
        purge()

    assert len(queries) < 15


def test_a_running_agent_is_stopped_before_its_chat_is_purged(thread, say, settings):
    """Whatever brought the run into a deleted thread."""
    settings.MESH_KEEP_DELETED_DAYS = 0
    run = say()
    services.claim_run(run_id=run.pk)
    age(thread)

    assert purge() == 0
    run.refresh_from_db()
    assert run.cancelled_at is not None
    assert Thread.objects.exists()


@pytest.fixture
def owed(thread, say, link):
    """Deleted a week ago, while its agent was at work on a machine that has been away since."""
    run = say()
    services.claim_run(run_id=run.pk)
    type(link).objects.update(offline_after=None)
    services.delete_thread(thread=thread)
    age(thread)
    return run


def test_a_thread_waits_until_its_machine_was_told_to_stop(owed):
    assert purge() == 0

    services.mark_stop_delivered(run_id=owed.pk)

    assert purge_all()
    assert not Run.objects.exists()


def test_a_machine_that_never_comes_back_is_not_waited_for(owed, thread):
    age(thread, by=timedelta(days=38))

    purge_all()

    assert not Thread.objects.exists()


def test_a_machine_that_was_removed_is_not_waited_for(owed, link):
    link.delete()

    purge_all()

    assert not Thread.objects.exists()


def test_those_that_wait_are_not_in_the_way(owed, say, ada, org, agent, monkeypatch):
    monkeypatch.setattr("threads.services.deletion.CANDIDATES", 1)
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    services.delete_thread(thread=other)
    age(other)

    assert purge() == 1
    assert Thread.objects.get() == owed.thread


def test_late_words_of_an_agent_bring_nothing_back(thread, say):
    run = say()
    services.claim_run(run_id=run.pk)
    services.delete_thread(thread=thread)
    services.end_overdue_stops(now=timezone.now() + timedelta(minutes=1))
    services.mark_stop_delivered(run_id=run.pk)
    late = Share(run.pk, 1, numbered(*[chunk("text-delta", id="t", delta="x")] * 5))
    before = Event.objects.count()

    (during,) = committing.commit([late])
    age(thread)
    purge_all()
    (after,) = committing.commit([late])

    assert during.is_over
    assert before
    assert isinstance(after.error, committing.Refused)
    assert not Event.objects.exists()


LATE = [
    pytest.param(lambda t, by: services.rename_thread(thread=t, title="x"), id="rename"),
    pytest.param(lambda t, by: services.cancel(thread=t), id="stop"),
    pytest.param(lambda t, by: services.remove_rule(thread=t, rule_id=uuid4()), id="rule"),
    pytest.param(lambda t, by: services.set_level(thread=t, level="auto", by=by), id="level"),
]


@pytest.mark.parametrize("act", LATE)
def test_acting_on_a_purged_thread_says_that_it_is_gone(due, ada, act):
    purge_all()

    with pytest.raises(NotFound):
        act(due, ada)
    assert not Event.objects.exists()


@pytest.fixture
def boxed(served, agent, ada):
    """Ada's thread in a container of its own, which is recorded."""
    served.branch = f"thread:{served.pk}"
    served.save()
    entry = VmEntry(vm_id="h-1", kind="docker")
    record_sandbox(agent=agent, user_id=ada.pk, branch=served.branch, entry=entry)
    return served


def is_orphaned():
    return SandboxRunnerState.objects.get().orphaned_at is not None


def test_the_container_of_a_purged_thread_is_to_be_removed(boxed):
    services.delete_thread(thread=boxed)
    age(boxed)
    assert not is_orphaned()

    purge_all()

    assert is_orphaned()


def test_a_container_stays_as_long_as_another_thread_works_in_it(boxed, ada, org, agent):
    """As the thread does that carries out a plan."""
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    Thread.objects.filter(pk=other.pk).update(branch=boxed.branch, sandbox_provider_kind="docker")
    services.delete_thread(thread=boxed)
    age(boxed)

    purge_all()
    assert not is_orphaned()

    services.delete_thread(thread=other)
    age(other)
    purge_all()
    assert is_orphaned()
