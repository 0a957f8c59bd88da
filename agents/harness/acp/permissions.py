"""An agent's permission requests: the decision, and the answer in its own options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from agents.harness.base import AUTO, PLAN, TurnInput
from agents.harness.lines import list_of, text_of
from agents.harness.rpc import RequestId

METHOD = "session/request_permission"
Decision = Literal["allow", "ask", "deny"]

# Kinds of tools that change nothing and reach nobody outside the machine.
READ_ONLY = frozenset({"read", "search", "think"})
# Preferably once: a person answers for this call alone.
_ALLOW = ("allow_once", "allow_always")
_DENY = ("reject_once", "reject_always")

CANCELLED: dict[str, Any] = {"outcome": {"outcome": "cancelled"}}


@dataclass(frozen=True, slots=True)
class Question:
    """A request of the agent that a person's answer decides."""

    request_id: RequestId
    call: str
    options: tuple[tuple[str, str], ...]  # kind and id


def read(request_id: RequestId, params: dict[str, Any], call: str) -> Question:
    options = list_of(params, "options")
    pairs = tuple((text_of(option, "kind"), text_of(option, "optionId")) for option in options)
    return Question(request_id, call, pairs)


def is_own(question: Question, tool: str, own_questions: str) -> bool:
    """Return whether, at "auto", the question about ``tool`` comes from the person's own settings;
    see ``mesh.agent_programs.Acp``."""
    if own_questions == "once":
        return all(kind != "allow_always" for kind, _ in question.options)
    if own_questions == "built_in":
        return not tool.startswith("mcp__")
    return own_questions == "all"


def decide(turn: TurnInput, kind: str) -> Decision:
    """Return the decision when the agent asks whether a tool of ``kind`` may run."""
    if kind in READ_ONLY:
        return "allow"
    if turn.mode == PLAN:
        return "deny"
    return "allow" if turn.approval_level == AUTO else "ask"


def reply(question: Question, *, is_allowed: bool) -> dict[str, Any]:
    """Return the answer as the request's result; without a matching option it is cancelled."""
    for preferred in _ALLOW if is_allowed else _DENY:
        for kind, option_id in question.options:
            if kind == preferred:
                return {"outcome": {"outcome": "selected", "optionId": option_id}}
    return CANCELLED
