"""The records of sandboxes: vmMap on the agents, and a row for each sandbox that was started.

Every start of a sandbox is recorded here, so that chat, tools, previews and admin see the same
one. A cell of vmMap is changed under a lock of its agent's row (SQLite: one writer at a time), so
that concurrent processes don't overwrite each other's changes.

The folder of a single conversation (``is_key``) has a row but no cell: vmMap is read with every
read of its agent, and must not grow with each conversation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.models import Agent
from links.wire.names import is_key
from mesh.lib.errors import AppError
from mesh.lib.origins import is_local, origin_pattern
from sandboxes.core import vm_map
from sandboxes.core.handle import project_ref
from sandboxes.core.vm_map import VmEntry
from sandboxes.core.workload import workload_of
from sandboxes.models import SandboxRunnerState
from sandboxes.providers.base import Place, RecordKey
from sandboxes.selectors import entry_of_row


class DeletedMeanwhile(AppError):
    """Somebody deleted the sandbox while it was being started."""

    code = "sandbox_deleted"
    text = "The sandbox was deleted while it was starting."
    hint = "Start it again if you still need it."
    status = 409


@dataclass(frozen=True, slots=True)
class RemovedRecord:
    """The removed record of a sandbox. ``has_started`` is false during its first start."""

    entry: VmEntry
    has_started: bool


def note_used(place: Place) -> None:
    """Record that the sandbox at ``place`` was just ensured.

    One statement if it has a record, as for each run but the first; else ``record_sandbox``.
    """
    key = place.record_key
    if key is None:
        return
    known = _rows(key, place.kind).filter(
        handle=place.handle, link_id=place.link_id, started_at__isnull=False
    )
    if known.update(used_at=timezone.now(), orphaned_at=None):
        return
    agent = Agent.objects.filter(pk=key.agent_id).first()
    if agent is not None:
        record_sandbox(
            agent=agent,
            user_id=key.user_id,
            branch=key.branch,
            entry=entry_of(place, metadata=agent.metadata),
        )


def entry_of(place: Place, *, metadata: object, preview_url: str = "") -> VmEntry:
    """Return the entry of vmMap for a sandbox that is running now.

    ``preview_url`` is the address that the caller would open; the default is the server's own.
    """
    return VmEntry(
        vm_id=place.handle,
        kind=place.kind,
        preview_url=preview_url or _preview_url(place.handle),
        link_id=str(place.link_id) if place.link_id else None,
        created_at=int(time.time() * 1000),
        started_with=workload_of(metadata).started_with(),
    )


def begin_start(place: Place) -> datetime:
    """Record that the sandbox is starting; return the time, for ``give_up_start``.

    A deletion before the end of the start removes the row, which the start then notices.
    """
    assert place.record_key is not None
    now = timezone.now()
    SandboxRunnerState.objects.update_or_create(
        **_row_key(place.record_key, place.kind),
        defaults={"used_at": now, "orphaned_at": None},
        create_defaults={"used_at": now, "handle": place.handle, "link_id": place.link_id},
    )
    return now


def give_up_start(place: Place, *, began: datetime) -> None:
    """Undo ``begin_start`` after a failure, unless it ran before or another start is running."""
    assert place.record_key is not None
    _rows(place.record_key, place.kind).filter(started_at=None, used_at=began).delete()


def record_sandbox(
    *,
    agent: Agent,
    user_id: int,
    branch: str,
    entry: VmEntry,
    state: dict[str, Any] | None = None,
    must_be_starting: bool = False,
) -> bool:
    """Record that a sandbox was started; return whether it is a new one.

    It is new if none of its kind was recorded there, or one with another handle. ``state`` is the
    provider's notes; ``None`` keeps the existing ones. Safe to repeat.

    Raises:
        DeletedMeanwhile: with ``must_be_starting``, the row of ``begin_start`` is gone.
    """
    now = timezone.now()
    key = _record_key(agent, user_id, branch)
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        known = _rows(key, entry.kind).select_for_update().first()
        if known is None and must_be_starting:
            raise DeletedMeanwhile
        before = _entry_before(row.metadata, key, entry.kind, known)
        if before is not None and before.vm_id == entry.vm_id:
            # The preview keeps its origin when the sandbox is started again.
            entry = replace(entry, preview_url=entry.preview_url or before.preview_url)
        if not is_key(branch):
            _save_map(row, vm_map.set_entry(row.metadata, **_cell(key), entry=entry))
        notes = {} if state is None else {"state": state}
        started = known.started_at if known is not None else None
        SandboxRunnerState.objects.update_or_create(
            **_row_key(key, entry.kind),
            defaults={
                "handle": entry.vm_id,
                "link_id": entry.machine,
                "used_at": now,
                "orphaned_at": None,
                "started_at": started or now,
                **notes,
            },
        )
    agent.metadata = row.metadata
    return before is None or before.vm_id != entry.vm_id


def forget_sandbox(*, agent: Agent, user_id: int, branch: str, kind: str) -> RemovedRecord | None:
    """Remove a sandbox's entry and row, and return them. The sandbox itself stays.

    Safe to repeat. A branch or a user that becomes empty is removed as well.
    """
    key = _record_key(agent, user_id, branch)
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        known = _rows(key, kind).select_for_update().first()
        entry = vm_map.find_entry(row.metadata, **_cell(key), kind=kind)
        _save_map(row, vm_map.remove_entry(row.metadata, **_cell(key), kind=kind))
        if known is not None:
            known.delete()
    agent.metadata = row.metadata
    if entry is not None:
        return RemovedRecord(entry, has_started=True)
    return RemovedRecord(entry_of_row(known), known.started_at is not None) if known else None


def _entry_before(
    metadata: object, key: RecordKey, kind: str, known: SandboxRunnerState | None
) -> VmEntry | None:
    entry = vm_map.find_entry(metadata, **_cell(key), kind=kind)
    if entry is None and is_key(key.branch) and known is not None and known.started_at:
        return entry_of_row(known)
    return entry


def _save_map(row: Agent, metadata: dict[str, Any]) -> None:
    if metadata != row.metadata:
        row.metadata = metadata
        row.save(update_fields=["metadata"])


def _record_key(agent: Agent, user_id: int, branch: str) -> RecordKey:
    return RecordKey(
        user_id=user_id, org_id=agent.organization_id, agent_id=agent.pk, branch=branch
    )


def _cell(key: RecordKey) -> dict[str, str]:
    return {"user": str(key.user_id), "branch": key.branch}


def _row_key(key: RecordKey, kind: str) -> dict[str, Any]:
    ref = project_ref(org_id=key.org_id, agent_id=key.agent_id, branch=key.branch)
    return {"user_id": key.user_id, "project_ref": ref, "sandbox_provider_kind": kind}


def _rows(key: RecordKey, kind: str) -> QuerySet[SandboxRunnerState]:
    return SandboxRunnerState.objects.filter(**_row_key(key, kind))


def _preview_url(handle: str) -> str | None:
    """Return the preview's address; ``None`` if it depends on the browser's request."""
    parts = urlsplit(settings.MESH_URL)
    if not parts.hostname or (is_local(parts.hostname) and not parts.port):
        return None
    return origin_pattern(mesh_url=settings.MESH_URL).replace("{handle}", handle) + "/"
