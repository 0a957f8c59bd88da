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

from threads import rows
from threads.chunks import approval_chunk
from threads.core.decide import Asked, Numbered
from threads.core.rules import Rule, Stance
from threads.models import Approval, ApprovalRule, Run
from threads.rows import Draft

AUTO: Final = "auto"
PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class Standing:
    """The level in force, who eased it, and the rules of the thread."""

    level: str = AUTO
    eased_by: int | None = None
    stance: Stance = field(default_factory=Stance)
    rules: Mapping[Rule, ApprovalRule] = field(default_factory=dict)


NOBODY: Final = Standing()


def is_question(event: Numbered) -> bool:
    """Say whether an event asks for a permission."""
    chunk = event.body.get("chunk")
    return isinstance(chunk, Mapping) and chunk.get("type") == "tool-approval-request"


def standing_of(run_id: UUID) -> Standing:
    """Return what holds for the questions that a run asks now."""
    fields = ("thread_id", "mode", "approval_level", "eased_at", "eased_by")
    thread_id, mode, level, eased_at, eased_by = Run.objects.values_list(*fields).get(pk=run_id)
    rules = {each.rule: each for each in ApprovalRule.objects.filter(thread=thread_id)}
    is_plan = PLAN in (mode, level)
    stance = Stance(is_plan=is_plan, is_eased=eased_at is not None, rules=rules.keys())
    in_force = PLAN if is_plan else AUTO if eased_at is not None else level
    return Standing(in_force, eased_by, stance, rules)


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
    if question.allowed_by is None:
        return {}
    answered = {"decision": "allow", "answered_at": now}
    if question.allowed_by == "level":
        return answered | {"answered_by_id": standing.eased_by}
    rule = standing.rules[question.allowed_by]
    return answered | {"answered_by_id": rule.created_by_id, "rule": rule}
