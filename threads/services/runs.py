"""Ending runs by the server's word: stopped by a person, or failed."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from mesh.database_errors import is_away
from threads.core import executors
from threads.journal import rows
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.ending import conclude
from threads.run.locking import lock_run
from threads.run.state import Move, WrongMove
from threads.services.notifications import announce

logger = logging.getLogger(__name__)

# How long the agent may take to stop by itself before the server says it has stopped.
GRACE = timedelta(seconds=1)


def finish_run(*, run_id: UUID, state: str, code: str = "", text: str = "") -> bool:
    """End a run by the server's word, with chunks that tell its readers; say whether it did.

    A run that has already ended stays as it is; one that was told to stop ends as stopped,
    whatever else went wrong with it. Where a machine may still work on it, it is told to stop.

    Raises:
        WrongMove: a run can't end so from the state it is in.
    """
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state in run_state.FINISHED:
            return False
        move = Move(state=state, code=code, text=text)
        if run.cancelled_at is not None:
            move = Move(state=run_state.CANCELLED)
        _end(run, move, now=timezone.now())
    return True


def _end(run: Run, move: Move, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            ended = conclude(copy.copy(run), move, now=now)
    except Exception as exc:
        if is_away(exc) or isinstance(exc, WrongMove):
            raise
        # A run that can't be ended would be tried again for ever.
        logger.exception("The answer of run %s can't be kept.", run.pk)
        ended = conclude(run, move, now=now, is_bare=True)
    announce(
        thread_id=run.thread_id,
        owner_id=run.thread.owner_id,
        rows=ended.rows,
        runs=ended.owed.notifies,
    )


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
                _end(run, Move(state=run_state.CANCELLED), now=now)
                continue
            transitions.cancel(run, now=now)
            holder, is_there = _holder(run, thread, now=now)
            if not is_there:
                _end(run, Move(state=run_state.CANCELLED), now=now)
            is_over = holder == settings.MESH_NODE
        announce(thread_id=thread.pk, owner_id=thread.owner_id, runs=True)
    return Stopped(is_over=is_over)


def _holder(run: Run, thread: Thread, *, now: datetime) -> tuple[str, bool]:
    """Return the process that can tell the run to stop, and whether it is there to do so."""
    if run.executor == executors.SERVER:
        return run.node, run.leased_until is not None and run.leased_until > now
    link = thread.link
    if link is None:
        return "", False
    return link.node, link.offline_after is not None and link.offline_after > now


def mark_stop_delivered(*, run_id: UUID) -> None:
    """Note that the machine was told to stop the run."""
    transitions.stop_delivered(run_id, now=timezone.now())


def rest_stop(*, run_id: UUID) -> None:
    """Note that the machine could not be told to stop the run; it is told again later."""
    # What is active is tried again by who follows it.
    due = Run.objects.filter(pk=run_id, state__in=run_state.FINISHED, stop_delivered_at=None)
    since = due.values_list("resting_since", flat=True).first()
    transitions.rest(due, since=since, code="", now=timezone.now())


def end_overdue_stops(*, now: datetime) -> int:
    """End the runs that were told to stop and did not within the grace; return how many."""
    overdue = Run.objects.filter(
        state__in=run_state.ACTIVE, cancelled_at__lte=now - GRACE
    ).values_list("pk", flat=True)
    return sum(finish_run(run_id=run_id, state=run_state.CANCELLED) for run_id in overdue)
