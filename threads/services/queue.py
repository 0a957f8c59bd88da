"""Waiting messages: edited, moved and withdrawn until they are sent to a machine.

Each change locks the thread, as the claim of a run does, and then updates the row under a
condition: of an edit and a claim at the same time, one finds that it is too late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.catalog import takes_of
from mesh.models import User
from mesh.selectors import NotFound
from threads.core.queue import moved
from threads.core.run_errors import WITHDRAWN
from threads.errors import AlreadyDispatched, NotTheAuthor
from threads.journal import rows
from threads.journal.chunks import queue_chunk, status_chunk, user_message_chunk
from threads.journal.rows import Draft
from threads.models import Message, Run, Steer, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.ending import conclude
from threads.run.state import Move
from threads.selectors import list_queue
from threads.services.announcements import announce
from threads.services.attachments import attach, read_files


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChange:
    """A change of a waiting message: its ``parts``, unless empty; and if it ``moves``, its
    position: before the run ``before``, or without one behind all others."""

    parts: list[dict[str, Any]] = field(default_factory=list)
    moves: bool = False
    before: UUID | None = None


def change_queued(*, thread: Thread, run_id: UUID, change: QueueChange, by: User) -> Run:
    """Change a waiting message, all of it or nothing, and return its run. Safe to repeat.

    Raises:
        NotFound: the thread has no such run.
        NotTheAuthor: another person wrote it.
        AlreadyDispatched: it, or the one before which it should go, waits no longer.
        FilesNotTaken, FileUnknown and their like: see ``read_files`` and ``attach``.
    """
    given = read_files(change.parts)
    with transaction.atomic():
        run = lock_own(thread, run_id, by)
        drafts = []
        if change.parts:
            _refuse_if_handed_over(run)
            takes = takes_of(run.thread.harness_id, run.tier)
            thread = run.thread
            parts = attach(parts=change.parts, given=given, thread=thread, by=by, takes=takes)
            drafts.append(_edit(run, rows.clean(parts)))
        if change.moves:
            drafts.append(_move(run, change.before))
        written = rows.append(thread.pk, drafts)
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
    return run


def _edit(run: Run, parts: list[dict[str, Any]]) -> Draft:
    """Replace the message's parts; return the draft that tells its readers."""
    waiting = Message.objects.filter(pk=run.prompt_id, run__state=run_state.QUEUED)
    if not waiting.update(parts=parts):
        raise AlreadyDispatched
    run.prompt.parts = parts
    return Draft(user_message_chunk(run.prompt), run.pk)


def _move(run: Run, before: UUID | None) -> Draft:
    """Move the run in the queue; return the draft that tells its readers.

    The waiting runs exchange their positions: so they stay behind the runs that were sent, and
    before every later message.
    """
    waiting = {each.pk: each for each in list_queue(thread=run.thread)}
    if run.pk not in waiting or (before is not None and before not in waiting):
        raise AlreadyDispatched
    order = moved(list(waiting), run.pk, before=before)
    for each, position in zip(order, sorted(r.position for r in waiting.values()), strict=True):
        if waiting[each].position == position:
            continue
        if not _still_waiting(each).update(position=position):
            raise AlreadyDispatched
    return Draft(queue_chunk([waiting[each].prompt.client_id for each in order]))


def withdraw_queued(*, thread: Thread, run_id: UUID, by: User) -> None:
    """Withdraw a message that waits, or was never sent; it disappears from the thread. Safe to
    repeat.

    Raises:
        NotFound: the thread has no such run.
        NotTheAuthor: another person wrote it.
        AlreadyDispatched: it was sent.
    """
    now = timezone.now()
    with transaction.atomic():
        run = lock_own(thread, run_id, by)
        if run.error_code == WITHDRAWN:
            return
        if run.never_sent:
            withdraw_unsent(run)
            return
        _refuse_if_handed_over(run)
        if run.state != run_state.QUEUED:
            raise AlreadyDispatched
        ended = conclude(run, Move(state=run_state.CANCELLED, code=WITHDRAWN), now=now)
        announce(
            thread_id=thread.pk,
            owner_id=thread.owner_id,
            rows=ended.rows,
            runs=ended.owed.notifies,
        )


def withdraw_unsent(run: Run) -> None:
    """Withdraw a message that was never sent, and tell its readers. The thread must be locked."""
    transitions.withdraw_unsent(run)
    chunk = status_chunk(
        run.state,
        run_id=run.pk,
        message_id=run.prompt.client_id,
        code=WITHDRAWN,
        never_sent=True,
    )
    # Not an event of the run: that has ended, for its readers too.
    written = rows.append(run.thread_id, [Draft(chunk)])
    announce(thread_id=run.thread_id, owner_id=run.thread.owner_id, rows=written)


def _refuse_if_handed_over(run: Run) -> None:
    """Refuse a change once the active run's agent may have read the message."""
    if Steer.objects.filter(run=run, tried_at__isnull=False).exists():
        raise AlreadyDispatched


def lock_own(thread: Thread, run_id: UUID, by: User) -> Run:
    """Lock the thread and return its run, if ``by`` wrote the run's message."""
    rows.lock(thread.pk)
    run = (
        Run.objects.select_related("prompt", "thread__organization")
        .filter(thread=thread, pk=run_id)
        .first()
    )
    if run is None:
        raise NotFound("The thread has no such message.")
    if run.prompt.author_id != by.pk:
        raise NotTheAuthor
    return run


def _still_waiting(run_id: UUID) -> QuerySet[Run]:
    return Run.objects.filter(pk=run_id, state=run_state.QUEUED)
