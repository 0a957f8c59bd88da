"""The records of sandboxes: vmMap on the agents, and a row for each provider's own notes.

A cell of vmMap is changed under a lock of its agent's row (SQLite: one writer at a time), so
of two processes that write at once none loses what the other wrote.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from sandboxes.core import vm_map
from sandboxes.core.handle import project_ref
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState


def record_sandbox(
    *, agent: Agent, user_id: int, branch: str, entry: VmEntry, state: dict[str, Any] | None = None
) -> bool:
    """Note a sandbox in vmMap and in its row; say whether it is a new one.

    New: none of its kind was recorded there, or one with another name. ``state``: the provider's
    notes; ``None`` leaves those that are there. Safe to repeat.
    """
    now = timezone.now()
    notes = {} if state is None else {"state": state}
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        cell = {"user": str(user_id), "branch": branch}
        before = vm_map.find_entry(row.metadata, **cell, kind=entry.kind)
        changed = vm_map.set_entry(row.metadata, **cell, entry=entry)
        if changed != row.metadata:
            row.metadata = changed
            row.save(update_fields=["metadata"])
        SandboxRunnerState.objects.update_or_create(
            user_id=user_id,
            project_ref=project_ref(org_id=agent.organization_id, agent_id=agent.pk, branch=branch),
            sandbox_provider_kind=entry.kind,
            defaults={"handle": entry.vm_id, "used_at": now, **notes},
        )
    agent.metadata = row.metadata
    return before is None or before.vm_id != entry.vm_id


def forget_sandbox(*, agent: Agent, user_id: int, branch: str, kind: str) -> VmEntry | None:
    """Remove a sandbox's entry and row; return the entry there was. The sandbox itself stays.

    Safe to repeat. A branch and a user that are left empty go with it.
    """
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        cell = {"user": str(user_id), "branch": branch, "kind": kind}
        entry = vm_map.find_entry(row.metadata, **cell)
        changed = vm_map.remove_entry(row.metadata, **cell)
        if changed != row.metadata:
            row.metadata = changed
            row.save(update_fields=["metadata"])
        SandboxRunnerState.objects.filter(
            user_id=user_id,
            project_ref=project_ref(org_id=agent.organization_id, agent_id=agent.pk, branch=branch),
            sandbox_provider_kind=kind,
        ).delete()
    agent.metadata = row.metadata
    return entry


def touch_sandbox(*, handle: str) -> None:
    """Note that a sandbox is used now: those that are idle for long are stopped."""
    SandboxRunnerState.objects.filter(handle=handle).update(used_at=timezone.now())
