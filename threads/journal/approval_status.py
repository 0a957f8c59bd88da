"""What a person has allowed in advance in a run, and the rows of the questions it asks.

Used by the journal's writer, in its transaction, with the thread locked. The services that make or
remove a rule, or switch the level, hold that lock too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.harness.questions import has_secrets
from threads.core.decide import Asked, Numbered
from threads.core.rules import Policy, Rule, same
from threads.journal import rows
from threads.journal.chunks import approval_chunk
from threads.journal.rows import Draft
from threads.models import Approval, ApprovalRule, Run

AUTO: Final = "auto"
PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class ApprovalStatus:
    """The level in force, who eased it, and the rules of the thread."""

    level: str = AUTO
    eased_by: int | None = None
    policy: Policy = field(default_factory=Policy)
    rules: Mapping[Rule, ApprovalRule] = field(default_factory=dict)
    earlier: Mapping[tuple[str, str], Approval] = field(default_factory=dict)


NO_STATUS: Final = ApprovalStatus()


def is_question(event: Numbered) -> bool:
    """Say whether an event asks for a permission."""
    chunk = event.body.get("chunk")
    return isinstance(chunk, Mapping) and chunk.get("type") == "tool-approval-request"


def approval_status_of(run_id: UUID) -> ApprovalStatus:
    """Return the status that applies to the questions that a run asks now."""
    fields = ("thread_id", "mode", "approval_level", "eased_at", "eased_by", "resumptions")
    found = Run.objects.values_list(*fields, "cancelled_at").get(pk=run_id)
    thread_id, mode, level, eased_at, eased_by, resumptions, stopped_at = found
    if stopped_at is not None:
        return ApprovalStatus(level)  # a run that is being stopped is allowed nothing
    earlier = _earlier(run_id) if resumptions else {}
    rules = {each.rule: each for each in ApprovalRule.objects.filter(thread=thread_id)}
    is_plan = PLAN in (mode, level)
    is_eased = eased_at is not None
    policy = Policy(is_plan, is_eased, rules.keys(), earlier.keys())
    in_force = PLAN if is_plan else AUTO if eased_at is not None else level
    return ApprovalStatus(in_force, eased_by, policy, rules, earlier)


def _earlier(run_id: UUID) -> dict[tuple[str, str], Approval]:
    """Return the answers to questions of a sandbox that died, by tool and input."""
    lost = Approval.objects.filter(
        run=run_id, lost_at__isnull=False, carried_at=None, withdrawn_at=None, is_known=True
    )
    answered = lost.filter(answered_at__isnull=False).order_by("asked_at")
    # A secret is erased once a sandbox has it: then the person is asked again.
    known = (each for each in answered if each.sealed_answers or not has_secrets(each.input))
    return {same(each.tool, each.input): each for each in known}


def keep_questions(
    run_id: UUID, asked: Iterable[Asked], status: ApprovalStatus, *, now: datetime
) -> list[Draft]:
    """Store the questions, each with its answer if there is one; return the drafts for readers."""
    drafts = []
    for question in asked:
        approval, is_new = Approval.objects.get_or_create(
            run_id=run_id,
            approval_id=rows.clean(question.approval_id),
            defaults={
                "tool_call_id": rows.clean(question.tool_call_id),
                "tool": rows.clean(question.tool),
                "input": rows.clean(question.input),
                "is_known": question.is_known,
                "because": rows.clean(question.because),
                "level": status.level,
                "asked_at": now,
                **_answer(question, status, now),
            },
        )
        if is_new:
            state = "answered" if approval.decision else "asked"
            drafts.append(Draft(approval_chunk(approval, state), run_id))
    return drafts


def _answer(question: Asked, status: ApprovalStatus, now: datetime) -> dict[str, Any]:
    if question.answered_by is None:
        return {}
    if question.answered_by == "earlier":
        return _carried(status.earlier[same(question.tool, question.input)], now)
    answered = {"decision": "allow", "answered_at": now}
    if question.answered_by == "level":
        return answered | {"answered_by_id": status.eased_by}
    rule = status.rules[question.answered_by]
    return answered | {"answered_by_id": rule.created_by_id, "rule": rule}


def _carried(earlier: Approval, now: datetime) -> dict[str, Any]:
    """Return the answer from before the sandbox died; it is used once."""
    Approval.objects.filter(pk=earlier.pk).update(carried_at=now, sealed_answers="")
    answer = ("decision", "reason", "answers", "sealed_answers")
    names = (*answer, "answered_at", "answered_by_id", "rule_id")
    return {name: getattr(earlier, name) for name in names}
