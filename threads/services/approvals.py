"""A tool's question on its way: shown, answered, delivered. Asked and applied: the journal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from mesh.models import User
from mesh.selectors import NotFound
from threads import rows
from threads.chunks import approval_chunk
from threads.core import run_state
from threads.errors import ApprovalAnswered, RunOver
from threads.models import Approval, Thread
from threads.rows import Draft
from threads.services.announce import announce


def answer_approval(
    *,
    thread: Thread,
    approval_id: str,
    decision: str,
    reason: str,
    by: User,
    answers: dict[str, Any] | None = None,
) -> Approval:
    """Answer a tool's question; the dispatcher delivers the answer. Safe to repeat.

    ``answers`` are kept only with an ``allow``: they are for a tool that asks something.

    Raises:
        NotFound: the thread has no such question.
        ApprovalAnswered: it was answered the other way.
        RunOver: nobody waits for the answer any more.
    """
    now = timezone.now()
    with transaction.atomic():
        rows.lock(thread.pk)
        found = Approval.objects.filter(run__thread=thread, approval_id=approval_id)
        approval = found.select_related("run").order_by("-asked_at").first()
        if approval is None:
            raise NotFound
        if approval.decision:
            if approval.decision != decision:
                raise ApprovalAnswered
            return approval
        if approval.run.state in run_state.FINISHED:
            raise RunOver
        approval.decision, approval.reason = decision, rows.clean(reason)
        approval.answers = rows.clean(answers or {}) if decision == "allow" else {}
        approval.answered_at, approval.answered_by = now, by
        approval.shown_at = approval.shown_at or now
        approval.save(
            update_fields=[
                "decision",
                "reason",
                "answers",
                "answered_at",
                "answered_by",
                "shown_at",
            ]
        )
        chunk = approval_chunk(approval, "answered")
        written = rows.append(thread.pk, [Draft(chunk, approval.run_id)])
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=True)
    return approval


def mark_answer_delivered(*, approval_id: UUID) -> None:
    """Note that the machine has the answer, and tell the readers. Safe to repeat."""
    approvals = Approval.objects.filter(pk=approval_id)
    with transaction.atomic():
        thread = rows.lock(approvals.values_list("run__thread_id", flat=True).get())
        if not approvals.filter(delivered_at=None).update(delivered_at=timezone.now()):
            return
        # Read behind the lock: the run may have ended meanwhile, after which it says no more,
        # and its harness may have been quicker than our note of the delivery.
        approval = approvals.select_related("run").get()
        if approval.applied_at is not None or approval.run.state in run_state.FINISHED:
            return
        chunk = approval_chunk(approval, "delivered")
        written = rows.append(thread.pk, [Draft(chunk, approval.run_id)])
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)


def mark_shown(*, thread_id: UUID) -> None:
    """Note that a person's page has been sent the open questions of a thread."""
    Approval.objects.filter(run__thread_id=thread_id, shown_at=None).update(shown_at=timezone.now())
