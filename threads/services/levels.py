"""Switching the approval level while an agent works."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from mesh.models import User
from threads.core.rules import is_permission
from threads.journal import rows
from threads.journal.approval_status import AUTO, PLAN
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.selectors import list_open_questions
from threads.services.announcements import announce
from threads.services.approvals import Answer, note_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSet:
    """``is_now``: the level applies to the active run; otherwise only to later messages.
    ``allowed``: the questions that the switch has answered."""

    is_now: bool
    allowed: list[str]


def set_level(*, thread: Thread, level: str, by: User) -> LevelSet:
    """Switch the thread and its active run to ``level``. Safe to repeat.

    "auto" allows every open permission, and every later one of the run, except for what the
    person's own settings ask; back at "readonly" a person is asked again. A run that started at
    "auto" asks nothing else, and a run that plans stays read-only: for these the switch applies
    from the next message on.
    """
    now = timezone.now()
    with transaction.atomic():
        rows.lock(thread.pk)
        Thread.objects.filter(pk=thread.pk).update(approval_level=level)
        active = Run.objects.filter(thread=thread, finished_at=None, state__in=run_state.ACTIVE)
        run = active.first()
        if run is None or level == PLAN or PLAN in (run.mode, run.approval_level):
            return LevelSet(is_now=False, allowed=[])
        if run.approval_level == AUTO:
            return LevelSet(is_now=level == AUTO, allowed=[])
        if level != AUTO:
            active.update(eased_at=None, eased_by=None)
            return LevelSet(is_now=True, allowed=[])
        active.filter(eased_at=None).update(eased_at=now, eased_by=by)
        waiting = [
            approval
            for approval in list_open_questions(thread=thread)
            if is_permission(approval.tool) and not approval.because
        ]
        drafts = [note_answer(each, Answer(decision="allow"), by=by) for each in waiting]
        if drafts:
            written = rows.append(thread.pk, drafts)
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=True)
    return LevelSet(is_now=True, allowed=[each.approval_id for each in waiting])
