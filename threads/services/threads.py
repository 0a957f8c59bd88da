"""Making, naming and deleting threads."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from mesh.models import Organization, User
from threads import rows
from threads.chunks import title_chunk
from threads.models import Thread
from threads.rows import Draft
from threads.services.announce import announce
from threads.services.runs import cancel


def create_thread(
    *, owner: User, organization: Organization, agent: Agent, title: str = ""
) -> Thread:
    """Return a new, empty thread; nothing is pinned yet."""
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


def mark_seen(*, thread: Thread) -> None:
    """Count what has ended so far as seen, and tell the owner's other pages. Safe to repeat."""
    with transaction.atomic():
        Thread.objects.filter(pk=thread.pk).update(seen_at=timezone.now())
        announce(thread_id=thread.pk, owner_id=thread.owner_id)


def delete_thread(*, thread: Thread) -> None:
    """Stop what runs in ``thread``, then hide it from everybody. Safe to repeat."""
    with transaction.atomic():
        cancel(thread=thread)
        Thread.objects.filter(pk=thread.pk, deleted_at=None).update(deleted_at=timezone.now())
        announce(thread_id=thread.pk, owner_id=thread.owner_id)
