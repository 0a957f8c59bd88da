"""Notifies subscribers that a machine's presence or capabilities changed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

# Subscribers, called with a link's id after the commit; the composition root adds them. A
# notification only: an exception in one must not affect the change.
presence_changed: list[Callable[[UUID], None]] = []


def notify_on_commit(link_id: UUID) -> None:
    """Call ``presence_changed`` once the current transaction has committed."""

    def notify() -> None:  # a function: Django logs a failing robust callback by its name
        for hook in presence_changed:
            hook(link_id)

    transaction.on_commit(notify, robust=True)
