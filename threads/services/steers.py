"""Handing a waiting message over to the active run's agent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.catalog import load_catalog
from mesh.models import User
from threads.errors import AlreadyDispatched, CannotSteer, NothingRuns
from threads.journal import rows
from threads.journal.chunks import steering_chunk, ui_message
from threads.journal.rows import Draft
from threads.models import Run, Steer, Thread
from threads.run import state as run_state
from threads.services.announcements import announce
from threads.services.queue import lock_own
from threads.serving.attachments import with_references


def steer_queued(*, thread: Thread, run_id: UUID, by: User) -> Run:
    """Hand a waiting message over to the active run, and return the message's own run.

    It waits until the agent has it: if the agent can't take it, it goes out in its turn. Safe to
    repeat.

    Raises:
        NotFound: the thread has no such run.
        NotTheAuthor: another person wrote it.
        AlreadyDispatched: it waits no longer.
        CannotSteer: this harness takes no message in the middle of a turn.
        NothingRuns: no run is active.
    """
    now = timezone.now()
    with transaction.atomic():
        run = lock_own(thread, run_id, by)
        if run.state != run_state.QUEUED:
            raise AlreadyDispatched
        kind = load_catalog().find(run.thread.harness_id)
        if kind is None or kind.steer != "now":
            raise CannotSteer
        active = Run.objects.filter(thread=thread, finished_at=None, state__in=run_state.ACTIVE)
        into = active.filter(cancelled_at=None).first()
        if into is None:
            raise NothingRuns
        _, is_new = Steer.objects.get_or_create(
            run=run, defaults={"into": into, "asked_at": now, "asked_by": by}
        )
        if is_new:
            written = rows.append(thread.pk, [Draft(steering_chunk(run, "asked"), run.pk)])
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=True)
    return run


def try_steer(*, steer_id: UUID) -> dict[str, Any] | None:
    """Record that the sandbox may have the steer from now on, and return the message to send.

    ``None``: the steer is no longer due. With the thread locked, so that an edit or a withdrawal
    of the message either comes before, or is refused.
    """
    with transaction.atomic():
        steers = Steer.objects.filter(pk=steer_id)
        thread_id = steers.values_list("run__thread_id", flat=True).first()
        if thread_id is None:
            return None
        rows.lock(thread_id)
        due = Steer.objects.filter(
            pk=steer_id,
            run__state=run_state.QUEUED,
            into__state__in=run_state.ACTIVE,
            taken_at=None,
        )
        if not due.update(tried_at=timezone.now()):
            return None
        message = ui_message(steers.select_related("run__prompt").get().run.prompt)
        return with_references([message], thread_id=thread_id)[0]


def mark_steer_delivered(*, steer_id: UUID, is_taken: bool) -> None:
    """Record whether the sandbox took the message; if not, it waits for its turn. Safe to
    repeat."""
    found = Steer.objects.filter(pk=steer_id, applied_at=None)
    with transaction.atomic():
        steer = found.select_related("run__prompt", "run__thread").first()
        if steer is None:
            return
        thread = rows.lock(steer.run.thread_id)
        if is_taken:
            done = found.filter(taken_at=None).update(taken_at=timezone.now())
        else:
            done, _ = found.filter(taken_at=None).delete()
        if done:
            chunk = steering_chunk(steer.run, "taken" if is_taken else "refused")
            written = rows.append(thread.pk, [Draft(chunk, steer.run_id)])
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
