"""Removes the sandboxes that have no thread any more.

=============  ==========================================  =====================================
Kind           Branch                                      What happens once it is orphaned
=============  ==========================================  =====================================
a container    any, unless it was used since the deletion  it is removed with its files
``remote-user`` a conversation's own folder                the machine puts the folder aside for
                                                           seven days if nothing in it would be
                                                           lost; else the folder stays, and only
                                                           the journal of its runs is removed
``remote-user`` a branch that has a name                   nothing: it is the person's, not the
                                                           chat's
=============  ==========================================  =====================================

The row keeps the task (``orphaned_at``) until it is done, so that nothing is forgotten if the
machine or the engine can't be reached, or if this process dies.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from links.wire.names import is_key
from mesh import database_pool
from mesh.lib.errors import AppError
from sandboxes import providers
from sandboxes.core.handle import project_ref
from sandboxes.core.kinds import REMOTE_USER
from sandboxes.models import SandboxRunnerState
from sandboxes.providers.base import Place
from sandboxes.selectors import find_recorded
from sandboxes.services.records import forget_sandbox

logger = logging.getLogger(__name__)

RETRY_AFTER: Final = timedelta(minutes=10)
AT_ONCE: Final = 20
# How long after a thread's deletion a run that is stopping may still record its sandbox.
AFTERMATH: Final = timedelta(minutes=5)


def orphan_sandboxes(
    *,
    user_id: int,
    org_id: UUID,
    agent_id: UUID,
    branch: str,
    unused_since: datetime,
    now: datetime,
) -> int:
    """Mark a person's sandboxes of a branch without threads for removal; return how many.

    A sandbox of a named branch that was used since the deletion of its last thread is kept,
    because a tool or a preview uses it. Part of the caller's transaction.
    """
    ref = project_ref(org_id=org_id, agent_id=agent_id, branch=branch)
    rows = SandboxRunnerState.objects.filter(user_id=user_id, project_ref=ref)
    if not is_key(branch):  # not only its threads may use it
        rows = rows.exclude(sandbox_provider_kind=REMOTE_USER)
        rows = rows.filter(used_at__lte=unused_since + AFTERMATH)
    return rows.update(orphaned_at=now, removal_tried_at=None)


async def remove_orphans() -> int:
    """Remove orphaned sandboxes; return how many were removed. Safe to repeat.

    A sandbox that can't be reached, or in which an agent is working, is retried later.
    """
    done = 0
    for row in await database_pool.writes.run(_claim, now=timezone.now()):
        try:
            await _remove(row)
        except AppError as exc:
            logger.info("sandbox %s: can't be removed yet, retrying later: %s", row.handle, exc)
        except Exception:
            logger.exception("sandbox %s: removing it failed, retrying later", row.handle)
        else:
            done += await database_pool.writes.run(_forget, row)
    return done


def _claim(*, now: datetime) -> list[SandboxRunnerState]:
    """Claim and return the sandboxes that this process removes now.

    Another process can claim them only after ``RETRY_AFTER``: the conditional update decides.
    """
    due = Q(removal_tried_at=None) | Q(removal_tried_at__lte=now - RETRY_AFTER)
    rows = SandboxRunnerState.objects.filter(due, orphaned_at__isnull=False)
    # Those that were never tried come first, because some may never be reachable.
    found = list(rows.order_by(F("removal_tried_at").asc(nulls_first=True))[:AT_ONCE])
    return [row for row in found if rows.filter(pk=row.pk).update(removal_tried_at=now)]


async def _remove(row: SandboxRunnerState) -> None:
    """Remove the sandbox itself.

    Raises:
        AppError: it can't be removed now.
    """
    place = Place(kind=row.sandbox_provider_kind, link_id=row.link_id, handle=row.handle)
    if place.kind == REMOTE_USER and not await database_pool.reads.run(_is_known, row.link_id):
        return  # its machine was removed, so there is nothing to call
    await providers.provider_for(place.kind).discard(place)


def _is_known(link_id: UUID | None) -> bool:
    return link_id is not None and Link.objects.filter(pk=link_id, revoked_at=None).exists()


def _forget(row: SandboxRunnerState) -> bool:
    """Remove the record of a removed sandbox, unless it has been used again since."""
    recorded = find_recorded(row)
    with transaction.atomic():
        if recorded is not None:  # locks in the same order as record_sandbox
            Agent.objects.select_for_update().only("pk").get(pk=recorded.agent.pk)
        orphans = SandboxRunnerState.objects.select_for_update()
        if not orphans.filter(pk=row.pk, orphaned_at=row.orphaned_at).exists():
            return False
        if recorded is None:
            orphans.filter(pk=row.pk).delete()
            return True
        forget_sandbox(
            agent=recorded.agent,
            user_id=recorded.user_id,
            branch=recorded.branch,
            kind=row.sandbox_provider_kind,
        )
    return True
