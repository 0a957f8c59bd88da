"""Telling who waits for it that a machine's presence or abilities changed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

# Called with a link's id, on commit. The composition root adds to it; a doorbell, so what a
# callable raises must not matter to it.
presence_changed: list[Callable[[UUID], None]] = []


def tell(link_id: UUID) -> None:
    """Ring ``presence_changed`` once what is written now is committed."""

    def notify() -> None:  # a function: Django logs a robust one that fails by its name
        for hook in presence_changed:
            hook(link_id)

    transaction.on_commit(notify, robust=True)
