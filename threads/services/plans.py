"""Implementing a plan in a new thread, which starts with the plan alone: without the conversation
that led to it."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from agents.harness.questions import PLAN_READY
from mesh.models import User
from mesh.selectors import NotFound
from threads.core.title import title_of
from threads.errors import ApprovalAnswered, QuestionWithdrawn, RunOver
from threads.journal import rows
from threads.journal.approval_status import AUTO
from threads.journal.chunks import carried_out_chunks
from threads.journal.rows import Draft
from threads.models import Approval, Run, Thread
from threads.run import state as run_state
from threads.services.announcements import announce
from threads.services.approvals import Answer, find_question, is_over, note_answer
from threads.services.messages import NewMessage, post_message
from threads.services.runs import finish_run
from threads.services.threads import create_thread
from threads.targets import Wish

BEGINNING: Final = "Implement this plan:"


def carry_out_plan(*, thread: Thread, approval_id: str, by: User) -> Run:
    """Have a new thread implement the plan that waits in ``thread``; return the new thread's run.

    The new thread works where ``thread`` does, in the same folder, with the same agent, and asks
    for no permission. The run that planned ends, and its agent is told to stop. Safe to repeat: a
    plan is carried out once.

    Raises:
        NotFound: the thread has no such question, or it is no plan.
        QuestionWithdrawn, ApprovalAnswered, RunOver: the plan waits no longer.
        LinkUnavailable and its like (``post_message``): nothing changes, and the plan waits.
    """
    with transaction.atomic():
        thread = rows.lock(thread.pk)
        approval = find_question(thread, approval_id)
        if approval.tool != PLAN_READY:
            raise NotFound("This is no plan.")
        key = f"plan-{approval.pk}"
        existing = Run.objects.filter(prompt__client_id=key, thread__owner=by).first()
        if existing is not None:
            return existing
        if approval.withdrawn_at is not None:
            raise QuestionWithdrawn
        if approval.decision:
            raise ApprovalAnswered
        if is_over(approval.run):
            raise RunOver
        run = _begin(thread, approval, key, by=by)
        _end(approval, run, by=by)
    return run


def _begin(thread: Thread, approval: Approval, key: str, *, by: User) -> Run:
    plan = str(approval.input.get("plan", "")) if isinstance(approval.input, dict) else ""
    fresh = create_thread(
        owner=by, organization=thread.organization, agent=thread.agent, title=title_of(plan)
    )
    pins: dict[str, Any] = {
        "sandbox_provider_kind": thread.sandbox_provider_kind,
        "harness_id": thread.harness_id,
        "link_id": thread.link_id,
        "branch": thread.branch,
    }
    Thread.objects.filter(pk=fresh.pk).update(**pins)
    message = NewMessage(
        client_id=key,
        parts=[{"type": "text", "text": f"{BEGINNING}\n\n{plan}"}],
        tier=approval.run.tier,
        model=approval.run.model,
        effort=approval.run.effort,
        approval_level=AUTO,
        temperature=approval.run.temperature,
        wish=Wish(queue_when_offline=True),
    )
    return post_message(author=by, thread=fresh, message=message)


def _end(approval: Approval, run: Run, *, by: User) -> None:
    """End the run that planned: its work is done."""
    answered = note_answer(approval, Answer(decision="allow"), by=by)
    chunks = carried_out_chunks(approval, thread_id=run.thread_id)
    thread = approval.run.thread
    drafts = [answered, *(Draft(chunk, approval.run_id) for chunk in chunks)]
    announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=rows.append(thread.pk, drafts))
    # This also stops its agent, which still waits for the answer.
    finish_run(run_id=approval.run_id, state=run_state.COMPLETED)
