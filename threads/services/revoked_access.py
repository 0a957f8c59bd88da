"""Runs of people who were deactivated, have left the organization whose agents they use, or may
only read there now."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from mesh.lib.roles import Permission, roles_with
from mesh.models import Membership
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.services.runs import cancel


def owner_may_run() -> Exists:
    """Return the condition of runs whose owner is active, and a member of the thread's
    organization who may start something."""
    return Exists(
        Membership.objects.filter(
            user=OuterRef("thread__owner"),
            organization=OuterRef("thread__organization"),
            user__is_active=True,
            role__in=roles_with(Permission.START),
        )
    )


def stop_revoked_runs() -> int:
    """Stop all runs of people without access; return the number of their threads.

    Otherwise active runs would continue to use the organization's keys, and queued runs would
    start to. Safe to repeat.
    """
    not_stopped = Q(state=run_state.QUEUED) | Q(cancelled_at=None)
    runs = Run.objects.filter(~owner_may_run(), not_stopped, state__in=run_state.UNFINISHED)
    threads = list(Thread.objects.filter(pk__in=runs.values("thread")))
    for thread in threads:
        cancel(thread=thread)
    return len(threads)
