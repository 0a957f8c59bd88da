"""The Celery tasks of threads; each calls the service of the same name."""

# mypy: disable-error-code="untyped-decorator"
# (Celery has no types)

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from threads import services


@shared_task(name="threads.end_stuck_runs")
def end_stuck_runs() -> int:
    """Fail the runs that have been silent for too long. Running it twice does no harm."""
    return services.end_stuck_runs(now=timezone.now())


@shared_task(name="threads.expire_queued_runs")
def expire_queued_runs() -> int:
    """End the queued runs whose machine was not back in time. Running it twice does no harm."""
    return services.expire_queued_runs(now=timezone.now())


@shared_task(name="threads.forget_background")
def forget_background() -> int:
    """Forget the background work of machines that were removed. Running it twice does no harm."""
    return services.forget_background(now=timezone.now())


@shared_task(name="threads.prune_events")
def prune_events() -> int:
    """Remove old events of stored answers. Running it twice does no harm."""
    return services.prune_events(now=timezone.now())


@shared_task(name="threads.prune_unsent")
def prune_unsent() -> int:
    """Remove attached files that were never sent. Running it twice does no harm."""
    return services.prune_unsent(now=timezone.now())


@shared_task(name="threads.purge_deleted")
def purge_deleted() -> int:
    """Remove a limited number of batches of the deleted threads whose time is up.

    Running it twice does no harm.
    """
    total = 0
    for _ in range(services.BATCHES):
        if not (count := services.purge_deleted(now=timezone.now())):
            break
        total += count
    return total
