"""The attempts of a run: claimed, leased, taken over, restarted.

A run of the ``link`` executor belongs to the process that holds the machine's socket; no other can
reach it. A run of the ``server`` executor is leased, to ``node`` until ``leased_until``. When a
lease lapses, its holder counts as lost, and another process takes the run over: under the same
fence, because a sandbox may know the attempt and continue it. If none does, the next attempt
starts, under the next fence; from then on the journal refuses the lost process.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from threads.core import executors
from threads.journal import rows
from threads.journal.chunks import restarted_chunks, status_chunk
from threads.journal.rows import Draft
from threads.models import Approval, Event, Run
from threads.run import state as run_state
from threads.run import transitions
from threads.run.locking import lock_run
from threads.run.transitions import LEASE
from threads.services.announcements import announce
from threads.services.revoked_access import owner_may_run
from threads.services.runs import finish_run

ATTEMPTS = 3  # a run that has cost three processes their lives gets no fourth


def is_lapsed(now: datetime) -> Q:
    """Return the condition of runs whose holder is lost."""
    return Q(leased_until=None) | Q(leased_until__lt=now)


def claim_run(*, run_id: UUID, node: str = "") -> bool:
    """Take a queued run for ``node`` (empty: this process): dispatched, with a new fence.

    Returns whether ``node`` has it: not if it is no longer queued, another run of its thread is
    active, or its owner has lost access.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            run = lock_run(run_id)
            if run is None:
                return False
            # Two processes may get here at the same time: the condition and the constraint decide.
            claimed = transitions.claim(
                run_id, node=node or settings.MESH_NODE, only=owner_may_run(), now=now
            )
            if claimed is None:
                return False
            _tell(run, run_state.DISPATCHED)
    except IntegrityError:
        return False
    return True


def take_over(*, run_id: UUID, node: str) -> bool:
    """Take an active run whose holder is lost; say whether it is ``node``'s now.

    The fence stays: the new holder joins the attempt if the sandbox knows it, and otherwise calls
    ``restart_run``.
    """
    now = timezone.now()
    active = Run.objects.filter(pk=run_id, executor=executors.SERVER, state__in=run_state.ACTIVE)
    taken = active.filter(is_lapsed(now)).update(node=node, leased_until=now + LEASE)
    return bool(taken)


def restart_run(*, run_id: UUID, fence: int, node: str) -> bool:
    """Start the next attempt of a run, under the next fence: no process knows the last one.

    Returns whether it did: not if the run has ended, was stopped, has cost too many processes, or
    is leased to another process. The lost attempt's events stay in the journal, before a chunk
    that removes them from the answer; its open questions are deleted.
    """
    with transaction.atomic():
        run = lock_run(run_id)
        ours = run is not None and run.state in run_state.ACTIVE and run.fence == fence
        if run is None or not ours or run.node != node:
            return False
        if run.cancelled_at is not None or fence >= ATTEMPTS:
            finish_run(run_id=run_id, state=run_state.FAILED, code="owner_lost")
            return False
        transitions.restart(run, now=timezone.now())
        Approval.objects.filter(run=run_id, applied_at=None).delete()
        has_said = Event.objects.filter(run=run_id, n__isnull=False).exists()
        chunks = restarted_chunks(fence + 1, run_id=run_id) if has_said else []
        _tell(run, run_state.DISPATCHED, [Draft(chunk, run_id) for chunk in chunks])
    return True


def renew_leases(*, run_ids: Collection[UUID], node: str) -> set[UUID]:
    """Renew the leases of ``node`` on those runs; return the runs that it must stop serving:
    another process has them, or they have ended, or are gone."""
    ours = Run.objects.filter(
        pk__in=run_ids, executor=executors.SERVER, state__in=run_state.ACTIVE, node=node
    )
    # A lease that was released meanwhile stays released.
    ours.filter(leased_until__isnull=False).update(leased_until=timezone.now() + LEASE)
    return set(run_ids) - set(ours.values_list("pk", flat=True))


def release_leases(*, node: str = "") -> int:
    """Let others take over the active runs of ``node`` (empty: of all) now; return how many."""
    active = Run.objects.filter(executor=executors.SERVER, state__in=run_state.ACTIVE)
    if node:
        active = active.filter(node=node)
    return active.update(leased_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """An attempt of a run whose machine can't be reached, as its follower knows it.

    ``since`` when it can't be reached, unless it has moved since; ``shown_code``: the reason that
    the person's pages show; ``code``: the reason now.
    """

    run_id: UUID
    fence: int
    since: datetime | None
    shown_code: str
    code: str


def rest_run(found: Unreachable, *, node: str) -> float | None:
    """Let a run rest; return in how many seconds to try again.

    ``None``: it has ended, or another process has it.
    """
    now = timezone.now()
    ours = Q(executor=executors.LINK) | Q(node=node)
    same = Run.objects.filter(ours, pk=found.run_id, fence=found.fence, state__in=run_state.ACTIVE)
    rest = transitions.rest(same, since=found.since, code=found.code, now=now)
    if rest is None:
        return None
    if rest.code != found.shown_code:
        _tell_person(found.run_id)
    return (rest.retry_at - now).total_seconds()


def _tell_person(run_id: UUID) -> None:
    """Have the pages of a run's person look at its thread again."""
    run = Run.objects.select_related("thread").get(pk=run_id)
    announce(thread_id=run.thread_id, owner_id=run.thread.owner_id)


def wake_run(*, run_id: UUID) -> None:
    """Record that the run's machine sends its stream again: the run rests no longer."""
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state not in run_state.ACTIVE:
            return
        was_shown = bool(run.resting_code)
        transitions.wake(run, now=timezone.now())
        if was_shown:
            _tell_person(run_id)


def retry_runs(*, link_id: UUID) -> int:
    """Have the resting runs of a machine, which is back, tried again now; return how many."""
    return transitions.retry_now(Run.objects.filter(executor=executors.LINK, thread__link=link_id))


def requeue_run(*, run_id: UUID) -> bool:
    """Queue a run again that was never sent: its laptop is offline. Say whether it was queued.

    From now on it waits for its machine, with a deadline.
    """
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state != run_state.DISPATCHED or run.last_n:
            return False
        transitions.requeue(run, now=timezone.now())
        _tell(run, run_state.QUEUED)
    return True


def _tell(run: Run, state: str, before: Collection[Draft] = ()) -> None:
    chunk = status_chunk(state, run_id=run.pk, message_id=run.prompt.client_id)
    written = rows.append(run.thread_id, [*before, Draft(chunk, run.pk)])
    announce(thread_id=run.thread_id, owner_id=run.thread.owner_id, rows=written)
