"""Starts and ends a person's sandbox of an agent, for the VM tools.

Transactions only write rows; the provider is called outside of them.
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
    """An agent is working in the sandbox; ending it would end the run."""

    code = "sandbox_busy"
    text = "An agent is working in the sandbox."
    hint = "Stop its run first, or set force."
    status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResult:
    """A sandbox that was started, or already recorded."""

    entry: VmEntry
    branch: str
    is_new: bool


async def start_vm(
    *, viewer: User, agent: Agent, branch: str = "", kind: str = "", preview_url: str = ""
) -> StartResult:
    """Ensure the viewer's sandbox of ``agent``, and record it. Safe to repeat.

    ``branch`` empty: a generated one. ``kind`` empty: the recorded one, else the default; if that
    is unavailable, no other kind replaces it. ``preview_url`` contains ``{handle}``.

    Raises:
        NoLink: its kind needs the viewer's machine, which is not connected.
        DeletedMeanwhile: it was deleted before it had started; it is ended again.
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
            must_be_starting=True,
        )
    except DeletedMeanwhile:
        with contextlib.suppress(AppError):
            await provider.remove(place)
        raise
    return StartResult(entry=entry, branch=branch, is_new=is_new)


async def ensure_vm(
    *, viewer: User, agent: Agent, branch: str, kind: str, preview_url: str = ""
) -> StartResult:
    """Return the viewer's recorded sandbox of that kind; start one only if none is recorded.

    A record does not mean that it is running: it is started again when it is used.

    Raises:
        NoLink, AppError: as in ``start_vm``.
    """
    cell = await database_pool.reads.run(
        recorded_cell, agent=agent, user_id=viewer.pk, branch=branch
    )
    if (entry := cell.get(kind)) is not None:
        return StartResult(entry=entry, branch=branch, is_new=False)
    return await start_vm(
        viewer=viewer, agent=agent, branch=branch, kind=kind, preview_url=preview_url
    )


async def delete_vm(
    *, viewer: User, agent: Agent, branch: str, kind: str, force: bool = False
) -> None:
    """Remove the record of the viewer's sandbox, then end it; a failure to end it is only logged.

    Safe to repeat. A sandbox that is still starting is ended, too.

    Raises:
        SandboxBusy: an agent is working in it, and ``force`` is false; nothing has changed.
    """
    cell: dict[str, Any] = {"agent": agent, "user_id": viewer.pk, "branch": branch}
    removed = await database_pool.writes.run(forget_sandbox, **cell, kind=kind)
    if removed is None:
        return
    entry = removed.entry
    place = place_of_entry(**cell, entry=entry)
    try:
        # No agent works in a sandbox that is still starting, even if it can't report that yet.
        is_forced = force or not removed.has_started
        await providers.provider_for(kind).remove(place, force=is_forced)
    except DispatchRefused as exc:
        if exc.code == SandboxBusy.code:
            await database_pool.writes.run(record_sandbox, **cell, entry=entry)
            raise SandboxBusy from exc
        _log_not_ended(entry, exc)
    except AppError as exc:
        _log_not_ended(entry, exc)


def _log_not_ended(entry: VmEntry, error: AppError) -> None:
    logger.warning(
        "sandbox %s: record removed, but the %s provider could not end it, leaving it to its idle"
        " timeout: %s",
        entry.vm_id,
        entry.kind,
        error,
    )


async def stop_sandbox(*, agent: Agent, user_id: int, branch: str, entry: VmEntry) -> None:
    """End a recorded sandbox and keep its record: it starts again when it is used.

    Raises:
        AppError: an agent is working in it, or it can't be reached.
    """
    place = place_of_entry(agent=agent, user_id=user_id, branch=branch, entry=entry)
    await providers.provider_for(entry.kind).stop(place)


def _choose(*, viewer: User, agent: Agent, branch: str, kind: str) -> Place:
    """Return the place for the sandbox.

    Raises:
        NoLink: its machine, or every machine of the viewer's, is not connected.
    """
    found = find_sandbox(viewer=viewer, agent=agent, branch=branch, kind=kind)
    if found.is_away and found.link is not None:
        raise NoLink(f"This sandbox is on “{found.link.name}”, which is not connected.")
    if found.is_away:
        raise NoLink
    return found.place
