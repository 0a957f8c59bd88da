"""Locking a run: its thread first, always, so that two transactions never deadlock."""

from __future__ import annotations

from uuid import UUID

from mesh.selectors import NotFound
from threads.journal import rows
from threads.models import Run


def lock_run(run_id: UUID) -> Run | None:
    """Return the run, locked after its thread until the transaction ends; ``None`` when it is
    gone."""
    thread_id = Run.objects.filter(pk=run_id).values_list("thread_id", flat=True).first()
    if thread_id is None:
        return None
    try:
        rows.lock(thread_id)
    except NotFound:  # purged since
        return None
    return (
        Run.objects.select_for_update(of=("self",))
        .select_related("prompt", "thread__agent", "thread__link")
        .filter(pk=run_id)
        .first()
    )
