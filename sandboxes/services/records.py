"""The records of sandboxes: vmMap on the agents, and a row of each sandbox that was started.

Whoever has a sandbox started has it recorded here, so that chat, tools, previews and admin see
the same one. A cell of vmMap is changed under a lock of its agent's row (SQLite: one writer at
a time), so of two processes that write at once none loses what the other wrote.

The folder of a single conversation (``is_key``) has a row and no cell: vmMap is read with its
agent by everybody, and must not grow with each chat.
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
from sandboxes.providers.base import Place, Whose
from sandboxes.selectors import entry_of_row


class DeletedMeanwhile(AppError):
    """Somebody deleted the sandbox while it was being started."""

    code = "sandbox_deleted"
    text = "The sandbox was deleted while it started."
    hint = "Start it again if it is still needed."
    status = 409


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was recorded. It has not started while its first start is under way."""

    entry: VmEntry
    has_started: bool


def note_used(place: Place) -> None:
    """Have it known that the sandbox at ``place`` was just ensured.

    One statement for what is recorded, which is each run but the first; else ``record_sandbox``.
    """
    whose = place.whose
    if whose is None:
        return
    known = _rows(whose, place.kind).filter(
        handle=place.handle, link_id=place.link_id, started_at__isnull=False
    )
    if known.update(used_at=timezone.now(), orphaned_at=None):
        return
    agent = Agent.objects.filter(pk=whose.agent_id).first()
    if agent is not None:
        record_sandbox(
            agent=agent,
            user_id=whose.user_id,
            branch=whose.branch,
            entry=entry_of(place, metadata=agent.metadata),
        )


def entry_of(place: Place, *, metadata: object, preview_url: str = "") -> VmEntry:
    """Return what is recorded of a sandbox that runs now.

    ``preview_url`` is the one that whoever asks would open; without it, the server's own.
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
    """Note that the sandbox is to be started; return when, for ``give_up_start``.

    Until it is recorded, whoever deletes it finds the row, and the start finds it gone.
    """
    assert place.whose is not None
    now = timezone.now()
    SandboxRunnerState.objects.update_or_create(
        **_key(place.whose, place.kind),
        defaults={"used_at": now, "orphaned_at": None},
        create_defaults={"used_at": now, "handle": place.handle, "link_id": place.link_id},
    )
    return now


def give_up_start(place: Place, *, began: datetime) -> None:
    """Take back the note of a start that failed, unless it had run before or others try, too."""
    assert place.whose is not None
    _rows(place.whose, place.kind).filter(started_at=None, used_at=began).delete()


def record_sandbox(
    *,
    agent: Agent,
    user_id: int,
    branch: str,
    entry: VmEntry,
    state: dict[str, Any] | None = None,
    must_be_begun: bool = False,
) -> bool:
    """Note that a sandbox was started; say whether it is a new one.

    New: none of its kind was recorded there, or one with another name. ``state``: the provider's
    notes; ``None`` leaves those that are there. Safe to repeat.

    Raises:
        DeletedMeanwhile: with ``must_be_begun``, the note of ``begin_start`` is gone.
    """
    now = timezone.now()
    whose = _whose(agent, user_id, branch)
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        known = _rows(whose, entry.kind).select_for_update().first()
        if known is None and must_be_begun:
            raise DeletedMeanwhile
        before = _entry_before(row.metadata, whose, entry.kind, known)
        if before is not None and before.vm_id == entry.vm_id:
            # The same origin shows it, whoever started it again.
            entry = replace(entry, preview_url=entry.preview_url or before.preview_url)
        if not is_key(branch):
            _save_map(row, vm_map.set_entry(row.metadata, **_cell(whose), entry=entry))
        notes = {} if state is None else {"state": state}
        started = known.started_at if known is not None else None
        SandboxRunnerState.objects.update_or_create(
            **_key(whose, entry.kind),
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


def forget_sandbox(*, agent: Agent, user_id: int, branch: str, kind: str) -> Forgotten | None:
    """Remove a sandbox's entry and row; return what there was. The sandbox itself stays.

    Safe to repeat. A branch and a user that are left empty go with it.
    """
    whose = _whose(agent, user_id, branch)
    with transaction.atomic():
        row = Agent.objects.select_for_update().only("metadata").get(pk=agent.pk)
        known = _rows(whose, kind).select_for_update().first()
        entry = vm_map.find_entry(row.metadata, **_cell(whose), kind=kind)
        _save_map(row, vm_map.remove_entry(row.metadata, **_cell(whose), kind=kind))
        if known is not None:
            known.delete()
    agent.metadata = row.metadata
    if entry is not None:
        return Forgotten(entry, has_started=True)
    return Forgotten(entry_of_row(known), known.started_at is not None) if known else None


def _entry_before(
    metadata: object, whose: Whose, kind: str, known: SandboxRunnerState | None
) -> VmEntry | None:
    entry = vm_map.find_entry(metadata, **_cell(whose), kind=kind)
    if entry is None and is_key(whose.branch) and known is not None and known.started_at:
        return entry_of_row(known)
    return entry


def _save_map(row: Agent, metadata: dict[str, Any]) -> None:
    if metadata != row.metadata:
        row.metadata = metadata
        row.save(update_fields=["metadata"])


def _whose(agent: Agent, user_id: int, branch: str) -> Whose:
    return Whose(user_id=user_id, org_id=agent.organization_id, agent_id=agent.pk, branch=branch)


def _cell(whose: Whose) -> dict[str, str]:
    return {"user": str(whose.user_id), "branch": whose.branch}


def _key(whose: Whose, kind: str) -> dict[str, Any]:
    ref = project_ref(org_id=whose.org_id, agent_id=whose.agent_id, branch=whose.branch)
    return {"user_id": whose.user_id, "project_ref": ref, "sandbox_provider_kind": kind}


def _rows(whose: Whose, kind: str) -> QuerySet[SandboxRunnerState]:
    return SandboxRunnerState.objects.filter(**_key(whose, kind))


def _preview_url(handle: str) -> str | None:
    """Return where a browser finds the preview; ``None`` where only its own request tells."""
    parts = urlsplit(settings.MESH_URL)
    if not parts.hostname or (is_local(parts.hostname) and not parts.port):
        return None
    return origin_pattern(mesh_url=settings.MESH_URL).replace("{handle}", handle) + "/"
