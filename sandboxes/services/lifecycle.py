"""Starting and ending a person's sandbox of an agent: what the VM tools do.

Only rows are written in a transaction; the provider is asked outside of any.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import Any

from agents.core.branches import new_branch
from agents.models import Agent
from mesh import database_pool
from mesh.lib.errors import AppError
from mesh.models import User
from sandboxes import providers
from sandboxes.core.kinds import NoLink
from sandboxes.core.vm_map import VmEntry
from sandboxes.providers.base import DispatchRefused, Place
from sandboxes.resolution import find_sandbox, place_of_entry
from sandboxes.selectors import recorded_cell
from sandboxes.services.preview_setup import configure, has_project
from sandboxes.services.records import (
    DeletedMeanwhile,
    begin_start,
    entry_of,
    forget_sandbox,
    give_up_start,
    record_sandbox,
)

logger = logging.getLogger(__name__)


class SandboxBusy(AppError):
    """An agent works in it: ending it would end that."""

    code = "sandbox_busy"
    text = "An agent is at work in the sandbox."
    hint = "Stop its run first, or say force."
    status = 409


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
        DeletedMeanwhile: somebody deleted it before it had started; it is ended again.
        AppError: the provider can't start it; nothing is recorded.
    """
    branch = branch or new_branch(secrets.choice)
    place = await database_pool.reads.run(
        _choose, viewer=viewer, agent=agent, branch=branch, kind=kind
    )
    provider = providers.provider_for(place.kind)
    began = await database_pool.writes.run(begin_start, place)
    try:
        await provider.ensure(place)
        if has_project(place):
            await configure(provider, place)
    except BaseException:
        await database_pool.writes.run(give_up_start, place, began=began)
        raise
    entry = entry_of(
        place,
        metadata=agent.metadata,
        preview_url=preview_url.replace("{handle}", place.handle),
    )
    try:
        is_new = await database_pool.writes.run(
            record_sandbox,
            agent=agent,
            user_id=viewer.pk,
            branch=branch,
            entry=entry,
            must_be_begun=True,
        )
    except DeletedMeanwhile:
        with contextlib.suppress(AppError):
            await provider.remove(place)
        raise
    return Started(entry=entry, branch=branch, is_new=is_new)


async def ensure_vm(
    *, viewer: User, agent: Agent, branch: str, kind: str, preview_url: str = ""
) -> Started:
    """Return the viewer's recorded sandbox of that kind; start one only where there is none.

    A record does not say that it lives: whoever uses it starts it again if need be.

    Raises:
        NoLink, AppError: as ``start_vm``.
    """
    cell = await database_pool.reads.run(
        recorded_cell, agent=agent, user_id=viewer.pk, branch=branch
    )
    if (entry := cell.get(kind)) is not None:
        return Started(entry=entry, branch=branch, is_new=False)
    return await start_vm(
        viewer=viewer, agent=agent, branch=branch, kind=kind, preview_url=preview_url
    )


async def delete_vm(
    *, viewer: User, agent: Agent, branch: str, kind: str, force: bool = False
) -> None:
    """Forget the viewer's sandbox, then end it; that it can't be ended is only logged.

    Safe to repeat. One that is still being started is ended, too.

    Raises:
        SandboxBusy: an agent works in it, and ``force`` was not given; nothing has changed.
    """
    cell: dict[str, Any] = {"agent": agent, "user_id": viewer.pk, "branch": branch}
    forgotten = await database_pool.writes.run(forget_sandbox, **cell, kind=kind)
    if forgotten is None:
        return
    entry = forgotten.entry
    place = place_of_entry(**cell, entry=entry)
    try:
        # In one that is only starting nobody works, though it may not be able to say so yet.
        is_forced = force or not forgotten.has_started
        await providers.provider_for(kind).remove(place, force=is_forced)
    except DispatchRefused as exc:
        if exc.code == SandboxBusy.code:
            await database_pool.writes.run(record_sandbox, **cell, entry=entry)
            raise SandboxBusy from exc
        logger.warning("Sandbox %s is forgotten but not ended: %s", entry.vm_id, exc)
    except AppError as exc:
        logger.warning("Sandbox %s is forgotten but not ended: %s", entry.vm_id, exc)


async def stop_sandbox(*, agent: Agent, user_id: int, branch: str, entry: VmEntry) -> None:
    """End a recorded sandbox and keep its record: it starts again when it is used.

    Raises:
        AppError: an agent is at work in it, or it can't be reached.
    """
    place = place_of_entry(agent=agent, user_id=user_id, branch=branch, entry=entry)
    await providers.provider_for(entry.kind).stop(place)


def _choose(*, viewer: User, agent: Agent, branch: str, kind: str) -> Place:
    """Return where the sandbox is to be.

    Raises:
        NoLink: on a machine that is not connected, or none of the viewer's is.
    """
    found = find_sandbox(viewer=viewer, agent=agent, branch=branch, kind=kind)
    if found.is_away and found.link is not None:
        raise NoLink(f"“{found.link.name}”, where this sandbox is, is not connected.")
    if found.is_away:
        raise NoLink
    return found.place
