"""The row of what an agent does beside its runs.

Written by the journal's writer and by the services, in their transactions, with the thread locked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from threads.journal import rows
from threads.models import BackgroundWork


def keep_background(
    *,
    thread_id: UUID,
    tasks: Sequence[dict[str, Any]],
    executor: str,
    now: datetime,
    has_unclaimed: bool = False,
) -> bool:
    """Record all that runs in the background of a thread; return whether that has changed.

    ``has_unclaimed``: there are turns to take from the sandbox, so it must be watched even if
    nothing runs there.
    """
    found = rows.clean(list(tasks))
    row = BackgroundWork.objects.filter(pk=thread_id).first()
    if row is None:
        if not found and not has_unclaimed:
            return False
        row = BackgroundWork(thread_id=thread_id, executor=executor)
    names = {task["id"] for task in found}
    before = (row.tasks, row.stops, row.quiet_since)
    has_changed = row._state.adding or row.tasks != found
    row.tasks, row.stops = found, [each for each in row.stops if each in names]
    if found:
        row.quiet_since = None
    elif row.quiet_since is None or has_unclaimed:
        row.quiet_since = now
    if row._state.adding or before != (row.tasks, row.stops, row.quiet_since):
        row.save()
    return has_changed


def stop_tasks(thread_id: UUID, *, only: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Have a thread's background work stopped, all or ``only`` these tasks; return it.

    The row says so until the sandbox tells that they have ended.
    """
    row = BackgroundWork.objects.filter(pk=thread_id).first()
    if row is None:
        return []
    tasks = [task for task in row.tasks if only is None or task["id"] in only]
    if tasks:
        row.stops = list(dict.fromkeys([*row.stops, *(task["id"] for task in tasks)]))
        row.save(update_fields=["stops"])
    return tasks
