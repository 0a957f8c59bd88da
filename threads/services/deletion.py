"""Restoring deleted threads, and purging them once their time to be restored is up.

A purge removes rows in batches, each in its own transaction with the thread locked, so that a
thread of a million events never makes other writers wait. After each commit the database shows
what is left: ``purge_began_at`` is set first and the thread's own row is deleted last, so a crash
between two batches only delays the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from mesh.models import Organization, User
from mesh.selectors import NotFound
from sandboxes.services import orphan_sandboxes
from threads.core import executors
from threads.core.deletion import (
    PURGED,
    STOP_OWED,
    Facts,
    Rows,
    Step,
    is_restorable,
    step_of,
)
from threads.errors import ThreadPurged
from threads.models import BackgroundWork, Run, Thread
from threads.services.announcements import announce
from threads.services.runs import cancel

CANDIDATES: Final = 20  # threads that one call looks at
BATCHES: Final = 200  # in a row, before the sweeper does other work

_RUNS = Run.objects.filter(thread=OuterRef("pk"))
HAS_UNFINISHED = Exists(_RUNS.filter(finished_at=None))
OWES_STOP = Exists(
    _RUNS.filter(
        stop_due_at__isnull=False,
        stop_delivered_at=None,
        fence__gt=0,
    ).exclude(
        executor=executors.LINK, thread__link=None
    )  # a machine that was removed takes no stop
)
# Its agent works in the background, or was not seen to have ended that.
WORKS_ON = Exists(BackgroundWork.objects.filter(thread=OuterRef("pk")))


def keep_deleted() -> timedelta:
    """Return for how long a deleted thread can be restored."""
    return timedelta(days=settings.MESH_KEEP_DELETED_DAYS)


def restore_thread(*, owner: User, organization: Organization, thread_id: UUID) -> Thread:
    """Restore a deleted thread with all its content. Safe to repeat.

    Runs that were active or queued at the deletion were stopped, and stay so.

    Raises:
        NotFound: the owner has no such thread in this organization.
        ThreadPurged: it was deleted too long ago.
    """
    with transaction.atomic():
        mine = Thread.objects.filter(pk=thread_id, owner=owner, organization=organization)
        thread = mine.select_for_update(of=("self",)).first()
        if thread is None:
            raise NotFound
        if thread.deleted_at is None:
            return thread
        facts = Facts(deleted_at=thread.deleted_at, purge_began_at=thread.purge_began_at)
        if not is_restorable(facts, now=timezone.now(), keep=keep_deleted()):
            raise ThreadPurged
        thread.deleted_at = None
        thread.save(update_fields=["deleted_at"])
        announce(thread_id=thread.pk, owner_id=thread.owner_id)
    return thread


def purge_deleted(*, now: datetime) -> int:
    """Remove one batch of rows of a thread whose time is up; return how many rows were removed.

    Call it again until it returns 0. Several processes may call it at the same time: each skips
    threads that another has locked.
    """
    keep = keep_deleted()
    began = Q(purge_began_at__isnull=False)
    due = began | Q(HAS_UNFINISHED) | Q(deleted_at__lte=now - keep)
    # Threads that only wait for their machine would use up the candidates.
    waits = ~began & (Q(OWES_STOP) | Q(WORKS_ON)) & Q(deleted_at__gt=now - keep - STOP_OWED)
    found = Thread.objects.filter(due, deleted_at__isnull=False)
    found = found.filter(Q(HAS_UNFINISHED) | ~waits).order_by("deleted_at")
    for thread_id in found.values_list("pk", flat=True)[:CANDIDATES]:
        if count := _purge_batch(thread_id, now=now, keep=keep):
            return count
    return 0


def _purge_batch(thread_id: UUID, *, now: datetime, keep: timedelta) -> int:
    """Remove the next batch of a thread, unless it is another process's or was restored."""
    with transaction.atomic():
        locked = Thread.objects.select_for_update(of=("self",), skip_locked=True)
        thread = locked.filter(pk=thread_id).first()
        if thread is None:
            return 0
        step = step_of(_facts(thread), now=now, keep=keep)
        if step is Step.STOP:
            cancel(thread=thread)
        if step is not Step.PURGE:
            return 0
        if thread.purge_began_at is None:
            # Content of the conversation in the thread's own row is removed first.
            blank = {"title": "", "session_ref": "", "purge_began_at": now}
            Thread.objects.filter(pk=thread_id).update(**blank)
        for rows in PURGED:
            if count := _remove(rows, thread_id):
                return count
        _orphan_sandboxes(thread, now=now)
        thread.delete()
    return 1


def _facts(thread: Thread) -> Facts:
    found = Thread.objects.filter(pk=thread.pk)
    has_unfinished, owes_stop, works_on = found.values_list(
        HAS_UNFINISHED, OWES_STOP, WORKS_ON
    ).get()
    return Facts(
        deleted_at=thread.deleted_at,
        purge_began_at=thread.purge_began_at,
        has_unfinished_run=has_unfinished,
        owes_stop=owes_stop or works_on,
    )


def _remove(rows: Rows, thread_id: UUID) -> int:
    """Remove up to a batch of a thread's rows of one model; return how many."""
    objects = apps.get_model("threads", rows.model)._default_manager
    found = objects.filter(**{rows.path: thread_id}).order_by()
    ids = list(found.values_list("pk", flat=True)[: rows.batch])
    if ids:
        # Only the keys are read: a message may hold megabytes.
        objects.filter(pk__in=ids).only("pk").delete()
    return len(ids)


def _orphan_sandboxes(thread: Thread, *, now: datetime) -> None:
    """Mark the thread's sandboxes for removal, unless another thread uses them."""
    if not thread.branch or thread.deleted_at is None:
        return
    others = Thread.objects.filter(
        owner=thread.owner_id, agent=thread.agent_id, branch=thread.branch
    )
    if others.exclude(pk=thread.pk).exists():
        return
    orphan_sandboxes(
        user_id=thread.owner_id,
        org_id=thread.organization_id,
        agent_id=thread.agent_id,
        branch=thread.branch,
        unused_since=thread.deleted_at,
        now=now,
    )
