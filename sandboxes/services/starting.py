"""Starting and ending a person's sandbox of an agent: what the VM tools do.

Only rows are written in a transaction; the provider is asked outside of any.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from agents.core.branches import new_branch
from agents.models import Agent
from links import selectors as links
from links import store
from mesh.lib.errors import AppError
from mesh.models import User
from sandboxes import providers
from sandboxes.core import vm_map
from sandboxes.core.kinds import REMOTE_USER, KindFacts, require_kind
from sandboxes.core.vm_map import VmEntry
from sandboxes.core.workload import workload_of
from sandboxes.places import place_for
from sandboxes.providers.base import Place
from sandboxes.services.records import forget_sandbox, record_sandbox
from sandboxes.services.serving import configure, has_project

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A sandbox that was ensured, or that was there."""

    entry: VmEntry
    branch: str
    is_new: bool


async def start_vm(
    *, viewer: User, agent: Agent, branch: str = "", kind: str = "", preview_url: str = ""
) -> Started:
    """Ensure the viewer's sandbox of ``agent``, and record it. Safe to repeat.

    ``branch`` empty: a made-up one. ``kind`` empty: as recorded, else by default; where it
    can't be had, no other one stands in. ``preview_url`` has ``{handle}`` in it.

    Raises:
        NoLink: it is to be on the viewer's machine, and that is not connected.
        AppError: the provider can't start it; nothing is recorded.
    """
    branch = branch or new_branch(secrets.choice)
    place = await store.run(_choose, viewer=viewer, agent=agent, branch=branch, kind=kind)
    provider = providers.provider_for(place.kind)
    await provider.ensure(place)
    if has_project(place):
        await configure(provider, place)
    entry = VmEntry(
        vm_id=place.handle,
        kind=place.kind,
        preview_url=preview_url.replace("{handle}", place.handle) or None,
        link_id=str(place.link_id) if place.link_id else None,
        created_at=int(time.time() * 1000),
        started_with=workload_of(agent.metadata).started_with(),
    )
    is_new = await store.run(
        record_sandbox, agent=agent, user_id=viewer.pk, branch=branch, entry=entry
    )
    return Started(entry=entry, branch=branch, is_new=is_new)


async def ensure_vm(
    *, viewer: User, agent: Agent, branch: str, kind: str, preview_url: str = ""
) -> Started:
    """Return the viewer's recorded sandbox of that kind; start one only where there is none.

    A record does not say that it lives: whoever uses it starts it again if need be.

    Raises:
        NoLink, AppError: as ``start_vm``.
    """
    entry = vm_map.find_entry(agent.metadata, user=str(viewer.pk), branch=branch, kind=kind)
    if entry is not None:
        return Started(entry=entry, branch=branch, is_new=False)
    return await start_vm(
        viewer=viewer, agent=agent, branch=branch, kind=kind, preview_url=preview_url
    )


async def delete_vm(*, viewer: User, agent: Agent, branch: str, kind: str) -> None:
    """Forget the viewer's sandbox, then end it; that it can't be ended is only logged.

    Safe to repeat.
    """
    entry = await store.run(
        forget_sandbox, agent=agent, user_id=viewer.pk, branch=branch, kind=kind
    )
    if entry is None:
        return
    place = recorded_place(agent=agent, user_id=viewer.pk, branch=branch, entry=entry)
    try:
        await providers.provider_for(kind).remove(place, force=True)
    except AppError as exc:
        logger.warning("Sandbox %s is forgotten but not ended: %s", entry.vm_id, exc)


async def stop_sandbox(*, agent: Agent, user_id: int, branch: str, entry: VmEntry) -> None:
    """End a recorded sandbox and keep its record: it starts again when it is used.

    Raises:
        AppError: an agent is at work in it, or it can't be reached.
    """
    place = recorded_place(agent=agent, user_id=user_id, branch=branch, entry=entry)
    await providers.provider_for(entry.kind).stop(place)


def recorded_place(*, agent: Agent, user_id: int, branch: str, entry: VmEntry) -> Place:
    """Return the place of a sandbox by its record: its kind and machine, whatever is preferred
    by now."""
    return place_for(
        agent=agent,
        user_id=user_id,
        branch=branch,
        kind=entry.kind,
        link_id=_uuid(entry.link_id),
    )


def _choose(*, viewer: User, agent: Agent, branch: str, kind: str) -> Place:
    """Return where the sandbox is to be.

    Raises:
        NoLink: on a machine, and none of the viewer's is connected.
    """
    cell = vm_map.find_cell(agent.metadata, user=str(viewer.pk), branch=branch) or {}
    online = links.find_online_link(viewer=viewer)
    chosen = require_kind(
        KindFacts(
            explicit=kind,
            recorded=next(iter(cell), ""),
            is_link_online=online is not None,
            default=settings.STUDIO_SANDBOX_RUNNER,
        )
    )
    link_id = online.id if online and chosen == REMOTE_USER else None
    recorded = cell.get(chosen)
    if link_id is not None and recorded is not None and recorded.link_id:
        # Its files are on that machine; another one has none of them.
        link_id = _known_link(viewer, recorded.link_id) or link_id
    return place_for(agent=agent, user_id=viewer.pk, branch=branch, kind=chosen, link_id=link_id)


def _known_link(viewer: User, link_id: str) -> UUID | None:
    named = _uuid(link_id)
    found = links.find_link(viewer=viewer, link_id=named) if named else None
    return found.id if found else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
