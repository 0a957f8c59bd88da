"""Periodic sweeps: stuck runs, runs whose machine did not come, old events.

Several processes may sweep at the same time, and repeatedly: each row is checked again with its
thread locked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Min, Q

from agents.catalog import load_catalog
from sandboxes.core.resolve import REMOTE_USER
from threads.core import executors
from threads.journal import rows
from threads.models import Event, Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.locking import lock_run
from threads.services.runs import finish_run

KEEP = timedelta(days=7)  # of events whose answers are stored
THREADS_AT_ONCE = 100
EVENTS_AT_ONCE = 2_000  # of one thread: SQLite has one writer, and others wait for it
TRIED_WITHIN = timedelta(minutes=1)  # an unreachable machine is retried every few seconds

# A run that waits for a person's answer is not stuck.
_AT_WORK = (run_state.DISPATCHED, run_state.RUNNING)


def end_stuck_runs(*, now: datetime) -> int:
    """Fail the runs that have been silent, or unreachable, for longer than their harness allows;
    return how many.

    Their machines get a stop. A run whose machine is offline is not stuck: its events arrive when
    the machine is back. A resting run counts only while it is retried; otherwise a machine that is
    back after days would lose its runs before the first try.
    """
    ended = 0
    for kind in load_catalog():
        before = now - timedelta(minutes=kind.stuck_minutes)
        silent = Q(state__in=_AT_WORK, progress_at__lt=before, resting_since=None)
        is_tried = Q(retry_at__gt=now - TRIED_WITHIN) | Q(executor=executors.SERVER)
        unreachable = Q(is_tried, state__in=run_state.ACTIVE, resting_since__lt=before)
        stuck = Run.objects.filter(
            Q(executor=executors.SERVER) | Q(thread__link__offline_after__gt=now),
            silent | unreachable,
            thread__harness_id=kind.kind,
        )
        for run_id, code in stuck.values_list("pk", "resting_code"):
            ended += _end_stuck(run_id, code or "stuck", before=before)
    return ended


def _end_stuck(run_id: UUID, code: str, *, before: datetime) -> bool:
    def is_stuck(run: Run) -> bool:
        if run.resting_since is not None:
            return run.state in run_state.ACTIVE and run.resting_since < before
        return run.state in _AT_WORK and run.progress_at < before

    return _finish_if(run_id, is_stuck, state=run_state.FAILED, code=code)


def expire_queued_runs(*, now: datetime) -> int:
    """End the queued runs whose machine did not come in time; return how many.

    A run that was accepted while the machine was online has no deadline; it gets one here once
    the machine is offline.
    """
    waiting = Run.objects.filter(
        state=run_state.QUEUED, thread__sandbox_provider_kind=REMOTE_USER
    ).exclude(thread__link__offline_after__gt=now)
    transitions.expect_machine(waiting, now=now)
    late = waiting.filter(expires_at__lte=now)
    # Sent when the machine went offline: whether these arrived is unknown.
    lost = Run.objects.filter(
        state=run_state.DISPATCHED,
        last_n=0,
        executor=executors.LINK,
        progress_at__lte=now - transitions.WAIT_FOR_MACHINE,
    ).exclude(thread__link__offline_after__gt=now)
    return sum(
        _finish_if(
            run_id,
            lambda run: (
                run.state == run_state.QUEUED
                or (run.state == run_state.DISPATCHED and not run.last_n)
            ),
            state=run_state.EXPIRED,
            code="expired",
        )
        for run_id in [
            *late.order_by("position").values_list("pk", flat=True),
            *lost.values_list("pk", flat=True),
        ]
    )


def _finish_if(run_id: UUID, condition: Callable[[Run], bool], *, state: str, code: str) -> bool:
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None or not condition(run):
            return False
        return finish_run(run_id=run_id, state=state, code=code)


def prune_events(*, now: datetime) -> int:
    """Remove the events of answers that were stored more than ``KEEP`` ago; return how many.

    Each thread loses the beginning of its journal, never a part in the middle: a reader whose
    number is before ``pruned_seq`` is refused, and reads the messages instead.
    """
    old = Q(runs__finished_at__lt=now - KEEP, runs__answer__seq__gt=F("pruned_seq"))
    threads = Thread.objects.filter(old).values_list("pk", flat=True).distinct()
    return sum(_prune(thread_id, before=now - KEEP) for thread_id in threads[:THREADS_AT_ONCE])


def _prune(thread_id: UUID, *, before: datetime) -> int:
    with transaction.atomic():
        thread = rows.lock(thread_id)
        needed = Run.objects.filter(thread=thread).exclude(finished_at__lt=before)
        first = Event.objects.filter(run__in=needed).aggregate(seq=Min("seq"))["seq"]
        answers = Run.objects.filter(thread=thread, finished_at__lt=before)
        last: int = answers.aggregate(seq=Max("answer__seq"))["seq"] or 0
        if first is not None:
            last = min(last, first - 1)
        last = min(last, thread.pruned_seq + EVENTS_AT_ONCE)
        if last <= thread.pruned_seq:
            return 0
        count, _ = Event.objects.filter(thread=thread, seq__lte=last).delete()
        Thread.objects.filter(pk=thread_id).update(pruned_seq=last)
    return count
