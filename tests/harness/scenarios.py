"""What is recorded of the real programs, and how a recording is played again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents.harness.base import Adapter, Ask, Emit, Out
from tests.harness.driver import chunks_of, turn

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One turn: what is said, and what the person does in the middle of it."""

    says: str
    changes: dict[str, Any] = field(default_factory=dict)  # of the turn's input
    decision: str = ""  # the answer to each question
    answers: dict[str, Any] = field(default_factory=dict)  # and what was chosen
    stops_at: str = ""  # the type of chunk at which the person presses stop
    killed_at: str = ""  # the type of chunk at which the program dies
    env: dict[str, str] = field(default_factory=dict)
    is_signed_in: bool = True

    def react(self, out: Out) -> str:
        """Return what happens at ``out``: ``answer``, ``interrupt``, ``kill`` or nothing."""
        kind = out.chunk["type"] if isinstance(out, Emit | Ask) else ""
        if isinstance(out, Ask) and self.decision:
            return "answer"
        if kind and kind == self.stops_at:
            return "interrupt"
        return "kill" if kind and kind == self.killed_at else ""


_QUESTION = {
    "id": "a",
    "question": "Which?",
    "header": "Colour",
    "options": [{"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}],
}
_QUESTIONS = json.dumps({"questions": [_QUESTION]})
CLAUDE_CODE = {
    "text": Scenario("say: Grüße aus 東京 🙂"),
    "thinking": Scenario("think"),
    "tool_ok": Scenario("bash: touch made && echo done"),
    "tool_failed": Scenario("bash: echo oops; exit 3"),
    "two_tools": Scenario("bash twice"),
    "allowed": Scenario("bash: echo hi", {"toolApprovalLevel": "readonly"}, decision="allow"),
    "denied": Scenario("bash: echo hi", {"toolApprovalLevel": "readonly"}, decision="deny"),
    "sub_agent": Scenario(
        'tool: Task {"description": "d", "prompt": "bash: touch made", '
        '"subagent_type": "general-purpose"}'
    ),
    "asked": Scenario(
        f"tool: AskUserQuestion {_QUESTIONS}", decision="allow", answers={"Which?": "Red"}
    ),
    "skipped": Scenario(f"tool: AskUserQuestion {_QUESTIONS}", decision="deny"),
    "planned": Scenario("tool: ExitPlanMode {}", {"mode": "plan"}, decision="deny"),
    "agreed": Scenario(
        "tool: ExitPlanMode {} then bash: touch made", {"mode": "plan"}, decision="allow"
    ),
    "todos": Scenario('tool: TaskCreate {"subject": "One", "description": "d"}'),
    "interrupted": Scenario("stall now", stops_at="text-delta"),
    "crashed": Scenario("stall now", killed_at="text-delta"),
    "not_signed_in": Scenario("hello", env={"ANTHROPIC_API_KEY": ""}),
    "refused_401": Scenario("status 401"),
    "overloaded_529": Scenario("status 529"),
    "reached_the_limit": Scenario("reach the limit"),
}


def _of_a_model(model: str, **changes: Any) -> dict[str, Any]:
    return {"models": {"thinking": {"id": model, "title": "M"}}} | changes


_CODEX = _of_a_model("codex:gpt-5.4-mini")
_CODEX_CAREFUL = _CODEX | {"toolApprovalLevel": "readonly"}
_OUTSIDE = {
    "cmd": "touch made",
    "sandbox_permissions": "require_escalated",
    "justification": "May I?",
}
CODEX = {
    "text": Scenario("say: Grüße aus 東京 🙂", _CODEX),
    "thinking": Scenario("think", _CODEX),
    "tool_ok": Scenario("bash: touch made && echo done", _CODEX),
    "tool_failed": Scenario("bash: echo oops; exit 3", _CODEX),
    "edited": Scenario("write: made hello", _CODEX),
    "allowed": Scenario("write: made hello", _CODEX_CAREFUL, decision="allow"),
    "denied": Scenario("write: made hello", _CODEX_CAREFUL, decision="deny"),
    "allowed_outside": Scenario(
        f"tool: exec_command {json.dumps(_OUTSIDE)}", _CODEX_CAREFUL, decision="allow"
    ),
    "planned": Scenario(
        "say: <proposed_plan>\n1. Do it\n</proposed_plan>\n", _CODEX | {"mode": "plan"}
    ),
    "asked": Scenario(
        f"tool: request_user_input {_QUESTIONS}",
        _CODEX | {"mode": "plan"},
        decision="allow",
        answers={"Which?": "Red"},
    ),
    "interrupted": Scenario("stall now", _CODEX, stops_at="text-delta"),
    "crashed": Scenario("stall now", _CODEX, killed_at="text-delta"),
    "not_signed_in": Scenario("hello", _CODEX, is_signed_in=False),
    "refused_401": Scenario("status 401", _CODEX),
    "overloaded_529": Scenario("status 529", _CODEX),
    "reached_the_limit": Scenario("reach the limit", _CODEX),
}


def _acp(model: str) -> dict[str, Scenario]:
    usual = _of_a_model(model)
    careful = usual | {"toolApprovalLevel": "readonly"}
    return {
        "text": Scenario("say: Grüße aus 東京 🙂", usual),
        "thinking": Scenario("think", usual),
        "tool_ok": Scenario("bash: touch made && echo done", usual),
        "tool_failed": Scenario("bash: echo oops; exit 3", usual),
        "edited": Scenario("write: {folder}/made hello", usual),
        "allowed": Scenario("write: {folder}/made hello", careful, decision="allow"),
        "denied": Scenario("bash: touch made", careful, decision="deny"),
        "interrupted": Scenario("stall now", usual, stops_at="text-delta"),
        "crashed": Scenario("stall now", usual, killed_at="text-delta"),
        "refused_401": Scenario("status 401", usual),
    }


SCENARIOS = {
    "claude-code": CLAUDE_CODE,
    "codex": CODEX,
    "acp:gemini": _acp("acp:gemini:gemini-2.5-flash"),
    "acp:opencode": _acp("acp:opencode:smart"),
}
ALL = [(kind, name) for kind, scenarios in SCENARIOS.items() for name in scenarios]


def play(adapter: Adapter, scenario: Scenario, lines: list[bytes]) -> list[Out]:
    """Return the outputs of an adapter that is fed a recording."""
    outs: list[Out] = []
    given = replace(turn(scenario.says, **scenario.changes), folder="/folder")
    waiting = adapter.begin(given)
    is_stopped = False
    for line in [*lines, None]:
        while waiting:
            out = waiting.pop(0)
            outs.append(out)
            action = scenario.react(out)
            if action == "answer" and isinstance(out, Ask):
                waiting += adapter.answer(out.approval_id, scenario.decision, "", scenario.answers)
            elif action == "interrupt" and not is_stopped:
                is_stopped = True
                waiting += adapter.interrupt()
        waiting = adapter.feed(line) if line is not None else adapter.ended(-9, "")
    return outs + waiting


def folder_of(kind: str) -> Path:
    return RECORDED / kind.replace(":", "-")


def load(kind: str, name: str) -> list[bytes]:
    return (folder_of(kind) / f"{name}.stdout.jsonl").read_bytes().splitlines()


def expected(kind: str, name: str) -> list[dict[str, Any]]:
    text = (folder_of(kind) / f"{name}.chunks.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def dump(outs: list[Out]) -> str:
    """Return the chunks as a golden file."""
    return "".join(json.dumps(c, ensure_ascii=False) + "\n" for c in chunks_of(outs))
