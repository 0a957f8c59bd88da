"""Runs of people who were shut out, or have left the organization whose agents they asked."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from mesh.models import Membership
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.services.runs import cancel


def owner_may_run() -> Exists:
    """Return the condition of runs whose person is active, and in the thread's organization."""
    return Exists(
        Membership.objects.filter(
            user=OuterRef("thread__owner"),
            organization=OuterRef("thread__organization"),
            user__is_active=True,
        )
    )


def stop_runs_of_those_who_left() -> int:
    """Stop everything in the threads of people who may run nothing any more; return in how many.

    It would go on with the organization's keys, and what is queued would begin with them. Safe
    to repeat.
    """
    going_on = Q(state=run_state.QUEUED) | Q(cancelled_at=None)
    runs = Run.objects.filter(~owner_may_run(), going_on, state__in=run_state.UNFINISHED)
    threads = list(Thread.objects.filter(pk__in=runs.values("thread")))
    for thread in threads:
        cancel(thread=thread)
    return len(threads)
