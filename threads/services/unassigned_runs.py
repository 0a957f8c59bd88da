"""Queued runs that no process takes: the cluster has no worker, or too few.

Server processes sweep them: the worker, which does the other sweeps, may be the missing part.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from sandboxes.core.resolve import REMOTE_USER
from threads.core import executors
from threads.journal import rows
from threads.journal.chunks import status_chunk
from threads.journal.rows import Draft
from threads.models import Run
from threads.run import state as run_state
from threads.run.locking import lock_run
from threads.services.announcements import announce
from threads.services.runs import finish_run

MARK_AFTER = timedelta(seconds=30)  # a free worker takes a run within seconds
END_AFTER = timedelta(hours=1)  # since the mark
# The error code that marks such a run, and that its pages show; the claim of the run clears it.
MARK = "waits_for_worker"


def mark_unassigned_runs(*, now: datetime) -> int:
    """Mark the runs that a worker should have taken, and tell their readers; return how many."""
    ends = Run.objects.filter(thread=OuterRef("thread"), finished_at__isnull=False)
    last_end = ends.order_by("-finished_at").values("finished_at")[:1]
    since = Greatest(
        "created_at", Coalesce(Subquery(last_end), F("created_at"), output_field=DateTimeField())
    )
    due = _first_in_line(now).annotate(since=since).filter(since__lte=now - MARK_AFTER)
    return sum(
        _mark(run_id, now=now)
        for run_id in due.exclude(error_code=MARK).values_list("pk", flat=True)
    )


def _first_in_line(now: datetime) -> QuerySet[Run]:
    """Return the queued runs that any worker could take."""
    others = Run.objects.filter(thread=OuterRef("thread"), finished_at=None)
    before = Q(state=run_state.QUEUED, position__lt=OuterRef("position"))
    blocking = others.filter(Q(state__in=run_state.ACTIVE) | before)
    # Some need the person's machine for their tools.
    is_online = ~Q(thread__sandbox_provider_kind=REMOTE_USER) | Q(
        thread__link__offline_after__gt=now
    )
    return Run.objects.filter(
        ~Exists(blocking), is_online, executor=executors.SERVER, state=run_state.QUEUED
    )


def _mark(run_id: UUID, *, now: datetime) -> bool:
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state != run_state.QUEUED or run.error_code == MARK:
            return False
        Run.objects.filter(pk=run_id).update(error_code=MARK, progress_at=now)
        chunk = status_chunk(
            run_state.QUEUED, run_id=run_id, message_id=run.prompt.client_id, code=MARK
        )
        written = rows.append(run.thread_id, [Draft(chunk, run_id)])
        announce(thread_id=run.thread_id, owner_id=run.thread.owner_id, rows=written)
    return True


def end_unassigned_runs(*, now: datetime) -> int:
    """End the runs that no worker took long after they were marked; return how many."""
    due = _first_in_line(now).filter(error_code=MARK, progress_at__lte=now - END_AFTER)
    return sum(_end(run_id) for run_id in due.values_list("pk", flat=True))


def _end(run_id: UUID) -> bool:
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state != run_state.QUEUED or run.error_code != MARK:
            return False
        return finish_run(run_id=run_id, state=run_state.EXPIRED, code="no_worker")
