"""Storing what an agent's program offers, as the journal's writer reads it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agents.core.offers import read_offer
from agents.core.sections import TROUBLES
from threads.journal import rows
from threads.models import AgentOptions, Thread
from threads.run import state as run_state


def keep_options(*, thread_id: UUID, data: object) -> None:
    """Store what the thread's program offers: for the thread, and for new ones on its machine.

    The caller holds the thread's lock.
    """
    thread = Thread.objects.select_related("link").get(pk=thread_id)
    link = thread.link
    told = {
        "options": rows.clean(read_offer(data).as_json()),
        "version": link.harnesses.get(thread.harness_id, {}).get("version", "") if link else "",
    }
    own = {"link_id": thread.link_id, "harness_id": thread.harness_id}
    _keep({"thread_id": thread_id}, own | told)
    if link is not None:
        _keep(own | {"thread_id": None}, told)


def note_end(*, thread_id: UUID, state: str, code: str) -> None:
    """Note what a run's end says of the program on its machine: whether it can be used."""
    is_trouble = code in TROUBLES
    if not is_trouble and state != run_state.COMPLETED:
        return
    link_id, harness_id = Thread.objects.values_list("link_id", "harness_id").get(pk=thread_id)
    known = AgentOptions.objects.filter(link_id=link_id, harness_id=harness_id, thread=None)
    if not is_trouble:
        known.exclude(trouble="").update(trouble="")
    elif link_id is not None and not known.update(trouble=code):
        row = AgentOptions(link_id=link_id, harness_id=harness_id, trouble=code)
        AgentOptions.objects.bulk_create([row], ignore_conflicts=True)


def _keep(key: dict[str, Any], told: dict[str, Any]) -> None:
    row = AgentOptions.objects.filter(**key).first()
    if row is None:
        # Another thread of the machine may have written its row meanwhile: the newest stays.
        AgentOptions.objects.bulk_create([AgentOptions(**key, **told)], ignore_conflicts=True)
    elif any(getattr(row, name) != value for name, value in told.items()):
        AgentOptions.objects.filter(pk=row.pk).update(**told)
