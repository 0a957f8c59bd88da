"""What a person has allowed beforehand in a run, and the rows of the questions it asks.

Used by the journal's writer, in its transaction, with the thread locked: whoever makes or
removes a rule, or switches the level, holds that lock too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from threads.core.decide import Asked, Numbered
from threads.core.rules import Policy, Rule, same
from threads.journal import rows
from threads.journal.chunks import approval_chunk
from threads.journal.rows import Draft
from threads.models import Approval, ApprovalRule, Run

AUTO: Final = "auto"
PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class Standing:
    """The level in force, who eased it, and the rules of the thread."""

    level: str = AUTO
    eased_by: int | None = None
    policy: Policy = field(default_factory=Policy)
    rules: Mapping[Rule, ApprovalRule] = field(default_factory=dict)
    earlier: Mapping[tuple[str, str], Approval] = field(default_factory=dict)


NOBODY: Final = Standing()


def is_question(event: Numbered) -> bool:
    """Say whether an event asks for a permission."""
    chunk = event.body.get("chunk")
    return isinstance(chunk, Mapping) and chunk.get("type") == "tool-approval-request"


def standing_of(run_id: UUID) -> Standing:
    """Return what holds for the questions that a run asks now."""
    fields = ("thread_id", "mode", "approval_level", "eased_at", "eased_by", "resumptions")
    found = Run.objects.values_list(*fields, "cancelled_at").get(pk=run_id)
    thread_id, mode, level, eased_at, eased_by, resumptions, stopped_at = found
    if stopped_at is not None:
        return Standing(level)  # whatever it still asks, nothing allows
    earlier = _earlier(run_id) if resumptions else {}
    rules = {each.rule: each for each in ApprovalRule.objects.filter(thread=thread_id)}
    is_plan = PLAN in (mode, level)
    is_eased = eased_at is not None
    policy = Policy(is_plan, is_eased, rules.keys(), earlier.keys())
    in_force = PLAN if is_plan else AUTO if eased_at is not None else level
    return Standing(in_force, eased_by, policy, rules, earlier)


def _earlier(run_id: UUID) -> dict[tuple[str, str], Approval]:
    """Return the answers to questions of a sandbox that died, by what was asked."""
    lost = Approval.objects.filter(run=run_id, lost_at__isnull=False, carried_at=None)
    answered = lost.filter(answered_at__isnull=False).order_by("asked_at")
    return {same(each.tool, each.input): each for each in answered}


def keep_questions(
    run_id: UUID, asked: Iterable[Asked], standing: Standing, *, now: datetime
) -> list[Draft]:
    """Keep what was asked, with its answer where there is one; return what readers are told."""
    drafts = []
    for question in asked:
        approval, is_new = Approval.objects.get_or_create(
            run_id=run_id,
            approval_id=rows.clean(question.approval_id),
            defaults={
                "tool_call_id": rows.clean(question.tool_call_id),
                "tool": rows.clean(question.tool),
                "input": rows.clean(question.input),
                "level": standing.level,
                "asked_at": now,
                **_answer(question, standing, now),
            },
        )
        if is_new:
            state = "answered" if approval.decision else "asked"
            drafts.append(Draft(approval_chunk(approval, state), run_id))
    return drafts


def _answer(question: Asked, standing: Standing, now: datetime) -> dict[str, Any]:
    if question.answered_by is None:
        return {}
    if question.answered_by == "earlier":
        return _carried(standing.earlier[same(question.tool, question.input)], now)
    answered = {"decision": "allow", "answered_at": now}
    if question.answered_by == "level":
        return answered | {"answered_by_id": standing.eased_by}
    rule = standing.rules[question.answered_by]
    return answered | {"answered_by_id": rule.created_by_id, "rule": rule}


def _carried(earlier: Approval, now: datetime) -> dict[str, Any]:
    """Return the answer given before the sandbox died; it counts once."""
    Approval.objects.filter(pk=earlier.pk).update(carried_at=now)
    names = ("decision", "reason", "answers", "answered_at", "answered_by_id", "rule_id")
    return {name: getattr(earlier, name) for name in names}
