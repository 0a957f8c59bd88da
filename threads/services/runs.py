"""Ending runs by the server's decision: stopped by a person, or failed."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from mesh.database_errors import is_away
from threads.core import executors
from threads.journal import rows
from threads.journal.background import stop_tasks
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.ending import conclude
from threads.run.locking import lock_run
from threads.run.state import Move, WrongMove
from threads.run.steering import settle_steers
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


Became = Literal["stopping", "stopped", "handed_over", "never_sent"]


@dataclass(frozen=True, slots=True)
class StoppedRun:
    """What Stop has made of a run, and so of its message.

    ``stopping``: the agent is told; ``stopped``: it can't be reached, so the run has ended.
    ``handed_over``: the agent may have read the message in the middle of its work.
    """

    run_id: UUID
    message_id: str
    became: Became


@dataclass(frozen=True, slots=True)
class Stopped:
    """``is_over``: the thread has no active run, or this process delivers the stop itself.
    ``runs`` are in the order in which they would have been sent. ``background``: what is stopped
    of the agent's background work."""

    is_over: bool
    runs: list[StoppedRun]
    background: list[dict[str, Any]] = field(default_factory=list)


def cancel(*, thread: Thread) -> Stopped:
    """Stop all runs in ``thread``, and return what became of each; without any, the agent's
    background work. Safe to repeat.

    Queued runs end immediately: their messages were never sent, except those that the active run's
    agent may have read already. An active run gets a stop, and ends when its agent has, or after
    a second; if its machine is offline, or its process lost, it ends immediately, and the stop is
    delivered when the machine is back.
    """
    now = timezone.now()
    with transaction.atomic():
        thread = rows.lock(thread.pk)
        unfinished = thread.runs.filter(finished_at=None).select_related("prompt")
        # Sorted here: in a long thread a database would walk through all runs in their order.
        runs = sorted(unfinished, key=attrgetter("position"))
        became: dict[UUID, Became] = {}
        is_over = True
        background = [] if runs else stop_tasks(thread.pk)
        for run in runs:
            if run.state == run_state.QUEUED:
                continue
            written = rows.append(thread.pk, settle_steers(run, is_told=False, now=now))
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
            transitions.cancel(run, now=now)
            holder, is_reachable = _holder(run, thread, now=now)
            became[run.pk] = "stopping" if is_reachable else "stopped"
            is_over = holder == settings.MESH_NODE
        waiting = unfinished.filter(state=run_state.QUEUED)
        for run in sorted(waiting, key=attrgetter("position")):
            _end(run, Move(state=run_state.CANCELLED), now=now)
            became[run.pk] = "never_sent"
        announce(thread_id=thread.pk, owner_id=thread.owner_id, runs=True)
    for run_id, what in became.items():
        if what == "stopped":  # without the lock, for as long as folding the answer takes
            finish_run(run_id=run_id, state=run_state.CANCELLED)
    found = [(run.pk, run.prompt.client_id, became.get(run.pk, "handed_over")) for run in runs]
    stopped = [StoppedRun(*each) for each in found]
    return Stopped(is_over=is_over, runs=stopped, background=background)


def _holder(run: Run, thread: Thread, *, now: datetime) -> tuple[str, bool]:
    """Return the process that can deliver a stop to the run, and whether it is alive."""
    if run.executor == executors.SERVER:
        return run.node, run.leased_until is not None and run.leased_until > now
    link = thread.link
    if link is None:
        return "", False
    return link.node, link.offline_after is not None and link.offline_after > now


def mark_stop_delivered(*, run_id: UUID) -> None:
    """Record that the machine has the stop of the run, and show it if the run had ended before."""
    transitions.stop_delivered(run_id, now=timezone.now())
    ended = Run.objects.filter(pk=run_id, state__in=run_state.FINISHED)
    for thread_id, owner_id in ended.values_list("thread", "thread__owner"):
        announce(thread_id=thread_id, owner_id=owner_id)


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
