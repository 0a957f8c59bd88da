"""Ending runs by the server's decision: stopped by a person, or failed."""

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
from threads.run.unfinished_answer import UnfinishedAnswer, fold_ahead
from threads.services.announcements import announce

logger = logging.getLogger(__name__)

# How long the agent may take to stop before the server ends the run.
GRACE = timedelta(seconds=1)


def finish_run(*, run_id: UUID, state: str, code: str = "", text: str = "") -> bool:
    """End a run by the server's decision, and tell its readers; say whether it did.

    A run that has already ended stays as it is; one that a person stopped ends as stopped, no
    matter what else went wrong. If a machine may still work on it, a stop is due there.

    Raises:
        WrongMove: its present state can't be followed by ``state``.
    """
    ahead = fold_ahead(run_id)
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or run.state in run_state.FINISHED:
            return False
        move = Move(state=state, code=code, text=text)
        if run.cancelled_at is not None:
            move = Move(state=run_state.CANCELLED)
        _end(run, move, ahead=ahead, now=timezone.now())
    return True


def _end(run: Run, move: Move, *, now: datetime, ahead: UnfinishedAnswer | None = None) -> None:
    try:
        with transaction.atomic():
            ended = conclude(copy.copy(run), move, ahead=ahead, now=now)
    except Exception as exc:
        if is_away(exc) or isinstance(exc, WrongMove):
            raise
        # A run that can't be ended would be tried again without end.
        logger.exception("run %s: the database refused its answer; ending it without", run.pk)
        ended = conclude(run, move, now=now, is_bare=True)
    announce(
        thread_id=run.thread_id,
        owner_id=run.thread.owner_id,
        rows=ended.rows,
        runs=ended.owed.notifies,
    )


@dataclass(frozen=True, slots=True)
class Stopped:
    """``is_over``: the thread has no active run, or this process delivers the stop itself."""

    is_over: bool


def cancel(*, thread: Thread) -> Stopped:
    """Stop all runs in ``thread``. Safe to repeat.

    Queued runs end immediately. An active run gets a stop, and ends when its agent has, or after
    a second; if its machine is offline, or its process lost, it ends immediately, and the stop is
    delivered when the machine is back.
    """
    now = timezone.now()
    lost = []
    with transaction.atomic():
        thread = rows.lock(thread.pk)
        runs = thread.runs.filter(finished_at=None).select_related("prompt")
        is_over = True
        for run in runs.order_by("created_at"):
            if run.state == run_state.QUEUED:
                _end(run, Move(state=run_state.CANCELLED), now=now)
                continue
            transitions.cancel(run, now=now)
            holder, is_reachable = _holder(run, thread, now=now)
            if not is_reachable:
                lost.append(run.pk)
            is_over = holder == settings.MESH_NODE
        announce(thread_id=thread.pk, owner_id=thread.owner_id, runs=True)
    for run_id in lost:  # without the lock, for as long as folding the answer takes
        finish_run(run_id=run_id, state=run_state.CANCELLED)
    return Stopped(is_over=is_over)


def _holder(run: Run, thread: Thread, *, now: datetime) -> tuple[str, bool]:
    """Return the process that can deliver a stop to the run, and whether it is alive."""
    if run.executor == executors.SERVER:
        return run.node, run.leased_until is not None and run.leased_until > now
    link = thread.link
    if link is None:
        return "", False
    return link.node, link.offline_after is not None and link.offline_after > now


def mark_stop_delivered(*, run_id: UUID) -> None:
    """Record that the machine has the stop of the run."""
    transitions.stop_delivered(run_id, now=timezone.now())


def rest_stop(*, run_id: UUID) -> None:
    """Record that the stop could not be delivered; it is tried again later."""
    # An active run rests by itself: its follower retries.
    due = Run.objects.filter(pk=run_id, state__in=run_state.FINISHED, stop_delivered_at=None)
    since = due.values_list("resting_since", flat=True).first()
    transitions.rest(due, since=since, code="", now=timezone.now())


def end_overdue_stops(*, now: datetime) -> int:
    """End the runs that were stopped and did not end within the grace; return how many."""
    overdue = Run.objects.filter(
        state__in=run_state.ACTIVE, cancelled_at__lte=now - GRACE
    ).values_list("pk", flat=True)
    return sum(finish_run(run_id=run_id, state=run_state.CANCELLED) for run_id in overdue)
