"""Ending runs by the server's word: stopped by a person, or failed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from threads import rows
from threads.core import lanes, run_state
from threads.ending import Ending, conclude, lock_run
from threads.models import Run, Thread
from threads.services.announce import announce

logger = logging.getLogger(__name__)

# How long the agent may take to stop by itself before the server says it has stopped.
GRACE = timedelta(seconds=1)


def finish_run(*, run_id: UUID, state: str, code: str = "", text: str = "") -> bool:
    """End a run by the server's word, with chunks that tell its readers; say whether it did.

    A run that has already ended stays as it is; one that was told to stop ends as stopped,
    whatever else went wrong with it. Its machine may still work on it, so it is told to stop.
    """
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state in run_state.FINISHED:
            return False
        ending = Ending(state=state, code=code, text=text)
        if run.cancelled_at is not None:
            ending = Ending(state=run_state.CANCELLED)
        _end(run, ending, now=timezone.now())
    return True


def _end(run: Run, ending: Ending, *, now: datetime) -> None:
    is_with_machine = run.state in run_state.ACTIVE
    try:
        with transaction.atomic():
            written = conclude(run, ending, before=(), now=now)
    except Exception as exc:
        if rows.is_passing(exc):
            raise
        # A run that can't be ended would be tried again for ever.
        logger.exception("The answer of run %s can't be kept.", run.pk)
        written = conclude(run, ending, before=(), now=now, is_bare=True)
    if is_with_machine:
        Run.objects.filter(pk=run.pk, stop_due_at=None).update(stop_due_at=now)
    # The next queued run of the thread may go.
    announce(thread_id=run.thread_id, owner_id=run.thread.owner_id, rows=written, runs=True)


@dataclass(frozen=True, slots=True)
class Stopped:
    """``is_over``: nothing of the thread runs any more, or its machine is told right now."""

    is_over: bool


def cancel(*, thread: Thread) -> Stopped:
    """Stop everything in ``thread``. Safe to repeat.

    Queued runs end at once. A run on a machine is told to stop, and ends when the agent has
    put its things in order, or after a second without that; one whose machine is offline, or
    whose process is lost, ends at once, and is told when it is back.
    """
    now = timezone.now()
    with transaction.atomic():
        thread = rows.lock(thread.pk)
        runs = thread.runs.filter(state__in=run_state.UNFINISHED).select_related("prompt")
        is_over = True
        for run in runs.order_by("created_at"):
            if run.state == run_state.QUEUED:
                _end(run, Ending(state=run_state.CANCELLED), now=now)
                continue
            if run.cancelled_at is None:
                Run.objects.filter(pk=run.pk).update(cancelled_at=now, stop_due_at=now)
            holder, is_there = _holder(run, thread, now=now)
            if not is_there:
                _end(run, Ending(state=run_state.CANCELLED), now=now)
            is_over = holder == settings.MESH_NODE
        announce(thread_id=thread.pk, owner_id=thread.owner_id, runs=True)
    return Stopped(is_over=is_over)


def _holder(run: Run, thread: Thread, *, now: datetime) -> tuple[str, bool]:
    """Return the process that can tell the run to stop, and whether it is there to do so."""
    if run.lane == lanes.SERVER:
        return run.node, run.leased_until is not None and run.leased_until > now
    link = thread.link
    if link is None:
        return "", False
    return link.node, link.offline_after is not None and link.offline_after > now


def mark_stop_delivered(*, run_id: UUID) -> None:
    """Note that the machine was told to stop the run."""
    Run.objects.filter(pk=run_id, stop_delivered_at=None).update(stop_delivered_at=timezone.now())


def end_overdue_stops(*, now: datetime) -> int:
    """End the runs that were told to stop and did not within the grace; return how many."""
    overdue = Run.objects.filter(
        state__in=run_state.ACTIVE, cancelled_at__lte=now - GRACE
    ).values_list("pk", flat=True)
    return sum(finish_run(run_id=run_id, state=run_state.CANCELLED) for run_id in overdue)
