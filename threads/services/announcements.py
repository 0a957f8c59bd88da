"""Publishes notifications once a service's transaction is committed, never before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.db import transaction

from threads.journal.rows import EventRow
from threads.reading import notifications


def announce(
    *, thread_id: UUID, owner_id: int, rows: Sequence[EventRow] = (), runs: bool = False
) -> None:
    """After the commit, notify the thread's readers and its owner's pages.

    ``runs`` also notifies the dispatchers: there is a run to start, to stop or to answer.
    """
    if rows:
        transaction.on_commit(partial(notifications.publish_rows, rows))
    transaction.on_commit(
        partial(
            notifications.publish, notifications.of_person(owner_id), ("thread", str(thread_id))
        )
    )
    if runs:
        transaction.on_commit(partial(notifications.publish, notifications.RUNS))
