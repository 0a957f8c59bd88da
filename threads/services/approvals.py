"""A tool's question: shown, answered, delivered. The journal's writer handles asked and applied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agents.harness.questions import without_secrets
from mesh import keys
from mesh.models import User
from mesh.selectors import NotFound
from threads.core.rules import is_permission, same
from threads.errors import ApprovalAnswered, QuestionWithdrawn, RunOver
from threads.journal import rows
from threads.journal.chunks import approval_chunk
from threads.journal.rows import Draft
from threads.models import Approval, ApprovalRule, Run, Thread
from threads.run import state as run_state
from threads.selectors import list_open_questions
from threads.services.announcements import announce
from threads.services.rules import make_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer to a question; ``answers`` only with an ``allow``, for a tool that asks
    the person something. ``remember`` allows it permanently in the thread."""

    decision: str
    reason: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    remember: bool = False


def answer_approval(*, thread: Thread, approval_id: str, answer: Answer, by: User) -> Approval:
    """Answer a tool's question; the dispatcher delivers the answer. Safe to repeat.

    Remembering it makes a rule, which also answers other open questions of the same kind.

    Raises:
        NotFound: the thread has no such question.
        QuestionWithdrawn: the agent has taken it back.
        ApprovalAnswered: it was answered otherwise.
        RunOver: no agent waits for the answer any more: the run has ended, or was stopped.
        NoRule, TooManyRules: it can't be remembered; nothing is answered then.
    """
    with transaction.atomic():
        rows.lock(thread.pk)
        approval = find_question(thread, approval_id)
        if approval.withdrawn_at is not None:
            raise QuestionWithdrawn
        drafts: list[Draft] = []
        rule = None
        if answer.remember and answer.decision == "allow":
            rule, drafts = make_rule(approval=approval, by=by)
        if approval.decision:
            if not is_same(approval, answer):
                raise ApprovalAnswered
        elif is_over(approval.run):
            raise RunOver
        else:
            drafts.append(note_answer(approval, answer, by=by))
        if rule is not None:
            drafts += answer_by_rule(thread, rule, by=by)
        written = rows.append(thread.pk, drafts)
        if written:
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=True)
    return approval


def is_same(approval: Approval, answer: Answer) -> bool:
    """Say whether an answer repeats the one that counts; the reason does not matter."""
    said = _kept_answers(approval, answer)
    return approval.decision == answer.decision and approval.answers == said


def is_over(run: Run) -> bool:
    """Say whether a run takes no more answers. A stop also locks the thread, so with the lock an
    answer is either before the stop or refused."""
    return run.state in run_state.FINISHED or run.cancelled_at is not None


def answer_approvals(
    *, thread: Thread, approval_ids: Sequence[str], answer: Answer, by: User
) -> list[Approval]:
    """Answer several permissions alike, all or none, and return them; safe to repeat.

    The caller names them, so that a person never allows a question that they have not seen.

    Raises:
        NotFound: the thread lacks one of them, or it is not a yes-or-no question.
        QuestionWithdrawn, ApprovalAnswered, RunOver: one of them can't be answered so any more.
    """
    with transaction.atomic():
        found = [
            answer_approval(thread=thread, approval_id=each, answer=answer, by=by)
            for each in dict.fromkeys(approval_ids)
        ]
        if not all(is_permission(approval.tool) for approval in found):
            raise NotFound("One of them asks for more than a yes or no.")
    return found


def answer_by_rule(thread: Thread, rule: ApprovalRule, *, by: User) -> list[Draft]:
    """Allow the open questions in ``thread`` that ``rule`` covers; return the drafts for
    readers."""
    return [
        note_answer(approval, Answer(decision="allow"), by=by, rule=rule)
        for approval in list_open_questions(thread=thread)
        if approval.offers == rule.rule
    ]


def find_question(thread: Thread, approval_id: str) -> Approval:
    """Return a question of the thread, as its agent asks it now; with the thread locked.

    Raises:
        NotFound: there is none.
    """
    return _asked_again(_find(thread, approval_id))


def _find(thread: Thread, approval_id: str) -> Approval:
    found = Approval.objects.filter(run__thread=thread, approval_id=approval_id)
    approval = found.select_related("run", "rule").order_by("-asked_at").first()
    if approval is None:
        raise NotFound
    return approval


def _asked_again(approval: Approval) -> Approval:
    """Return the same question as its agent asks it now, if the sandbox that asked has died."""
    if approval.lost_at is None or approval.decision or not approval.is_known:
        return approval
    now_open = Approval.objects.filter(
        run=approval.run, lost_at=None, tool=approval.tool, is_known=True
    )
    last = F("withdrawn_at").asc(nulls_first=True)  # it may ask again what it took back
    for each in now_open.select_related("run", "rule").order_by(last, "asked_at"):
        if same(each.tool, each.input) == same(approval.tool, approval.input):
            return each
    return approval


def note_answer(
    approval: Approval, answer: Answer, *, by: User, rule: ApprovalRule | None = None
) -> Draft:
    """Record the answer to an open question; return the draft that tells the thread's readers."""
    now = timezone.now()
    approval.decision, approval.reason = answer.decision, rows.clean(answer.reason)
    approval.answers = _kept_answers(approval, answer)
    if approval.answers != rows.clean(answer.answers) and answer.decision == "allow":
        approval.sealed_answers = keys.seal(json.dumps(rows.clean(answer.answers)))
    approval.answered_at, approval.answered_by, approval.rule = now, by, rule
    approval.shown_at = approval.shown_at or now
    fields = ("decision", "reason", "answers", "answered_at", "answered_by", "shown_at", "rule")
    approval.save(update_fields=(*fields, "sealed_answers"))
    return Draft(approval_chunk(approval, "answered"), approval.run_id)


def _kept_answers(approval: Approval, answer: Answer) -> dict[str, Any]:
    """Return the answers as rows and readers get them: without what is secret."""
    said = rows.clean(answer.answers) if answer.decision == "allow" else {}
    return without_secrets(approval.input, said)


def mark_answer_delivered(*, approval_id: UUID) -> None:
    """Record that the machine has the answer, and tell the readers. Safe to repeat."""
    approvals = Approval.objects.filter(pk=approval_id)
    with transaction.atomic():
        thread = rows.lock(approvals.values_list("run__thread_id", flat=True).get())
        is_first = approvals.filter(delivered_at=None, withdrawn_at=None)
        if not is_first.update(delivered_at=timezone.now(), sealed_answers=""):
            return
        # Read with the lock held: the run may have ended meanwhile, and then its readers get no
        # more chunks; or its harness has applied the answer before we recorded the delivery.
        approval = approvals.select_related("run", "rule").get()
        if approval.applied_at is not None or is_over(approval.run):
            return
        chunk = approval_chunk(approval, "delivered")
        written = rows.append(thread.pk, [Draft(chunk, approval.run_id)])
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)


def mark_shown(*, thread_id: UUID) -> None:
    """Record that a person's page was sent the open questions of a thread."""
    Approval.objects.filter(run__thread_id=thread_id, shown_at=None).update(shown_at=timezone.now())
