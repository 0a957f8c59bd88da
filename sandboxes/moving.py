"""Applies a step of the reference's migrations to all agents in batches, for a migration (ADR 14).

The steps are in ``sandboxes.core.reference``. Migrations import this module, so it is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import transaction

BATCH: Final = 500  # rows of one transaction

Move = Callable[[Any, Any], None]


def move_metadata(step: Callable[[Any], Any], *, batch: int = BATCH) -> Move:
    """Return what a migration runs: ``step`` applied to the metadata of each agent.

    ``step`` gives back its argument where nothing is to be changed; only other rows are
    written, each under a lock, so that a server which still runs loses nothing. Safe to
    repeat and to break off, as the steps are.
    """

    def move(apps: Any, schema_editor: Any) -> None:
        alias = schema_editor.connection.alias
        agents = apps.get_model("agents", "Agent").objects.using(alias).order_by("pk")
        last = None
        while True:
            with transaction.atomic(using=alias):
                some = agents.filter(pk__gt=last) if last is not None else agents
                rows = list(some.select_for_update().only("pk", "metadata")[:batch])
                for row in rows:
                    after = step(row.metadata)
                    if after is not row.metadata:
                        row.metadata = after
                        row.save(update_fields=["metadata"])
            if len(rows) < batch:
                return
            last = rows[-1].pk

    return move
