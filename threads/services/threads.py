"""Making, naming and deleting threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from mesh.models import Organization, User
from threads.journal import rows
from threads.journal.chunks import title_chunk
from threads.journal.rows import Draft
from threads.models import Run, Thread
from threads.run.locking import lock_run
from threads.services.announcements import announce
from threads.services.runs import cancel


def create_thread(
    *, owner: User, organization: Organization, agent: Agent, title: str = ""
) -> Thread:
    """Return a new, empty thread, which is not pinned to a machine or harness yet."""
    with transaction.atomic():
        thread = Thread.objects.create(
            owner=owner, organization=organization, agent=agent, title=rows.clean(title)
        )
        announce(thread_id=thread.pk, owner_id=owner.pk)
    return thread


def rename_thread(*, thread: Thread, title: str) -> Thread:
    """Give ``thread`` a new title and tell its readers."""
    title = rows.clean(title)
    with transaction.atomic():
        written = rows.append(thread.pk, [Draft(title_chunk(title))])
        Thread.objects.filter(pk=thread.pk).update(title=title)
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
    thread.title = title
    return thread


def name_thread(*, run_id: UUID, before: str, title: str, spent: Mapping[str, Any]) -> bool:
    """Name the thread of a run ``title``, if its title is still ``before``; say whether it was.

    ``spent``, the cost of the name, is recorded with the run in any case.
    """
    title = rows.clean(title)
    with transaction.atomic():
        run = lock_run(run_id)
        if run is None:
            return False
        Run.objects.filter(pk=run_id).update(usage={**run.usage, "naming": dict(spent)})
        unnamed = Thread.objects.filter(pk=run.thread_id, title=before, deleted_at=None)
        if not title or not unnamed.update(title=title):
            return False
        written = rows.append(run.thread_id, [Draft(title_chunk(title))])
        announce(thread_id=run.thread_id, owner_id=run.thread.owner_id, rows=written)
    return True


def mark_seen(*, thread: Thread) -> None:
    """Mark all ended runs of ``thread`` as seen, and tell the owner's other pages. Safe to
    repeat."""
    with transaction.atomic():
        Thread.objects.filter(pk=thread.pk).update(seen_at=timezone.now())
        announce(thread_id=thread.pk, owner_id=thread.owner_id)


def delete_thread(*, thread: Thread) -> None:
    """Stop all runs in ``thread``, then hide it from everybody. Safe to repeat."""
    with transaction.atomic():
        cancel(thread=thread)
        Thread.objects.filter(pk=thread.pk, deleted_at=None).update(deleted_at=timezone.now())
        announce(thread_id=thread.pk, owner_id=thread.owner_id)
