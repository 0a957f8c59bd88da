"""What is recorded of the real programs, and how a recording is played again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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
    stops_at: str = ""  # the type of chunk at which the person presses stop
    killed_at: str = ""  # the type of chunk at which the program dies
    env: dict[str, str] = field(default_factory=dict)

    def react(self, out: Out) -> str:
        """Return what happens at ``out``: ``answer``, ``interrupt``, ``kill`` or nothing."""
        kind = out.chunk["type"] if isinstance(out, Emit | Ask) else ""
        if isinstance(out, Ask) and self.decision:
            return "answer"
        if kind and kind == self.stops_at:
            return "interrupt"
        return "kill" if kind and kind == self.killed_at else ""


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
    "interrupted": Scenario("stall now", stops_at="text-delta"),
    "crashed": Scenario("stall now", killed_at="text-delta"),
    "not_signed_in": Scenario("hello", env={"ANTHROPIC_API_KEY": ""}),
    "refused_401": Scenario("status 401"),
    "overloaded_529": Scenario("status 529"),
    "reached_the_limit": Scenario("reach the limit"),
}


def play(adapter: Adapter, scenario: Scenario, lines: list[bytes]) -> list[Out]:
    """Return the outputs of an adapter that is fed a recording."""
    outs: list[Out] = []
    waiting = adapter.begin(turn(scenario.says, **scenario.changes))
    is_stopped = False
    for line in [*lines, None]:
        while waiting:
            out = waiting.pop(0)
            outs.append(out)
            action = scenario.react(out)
            if action == "answer" and isinstance(out, Ask):
                waiting += adapter.answer(out.approval_id, scenario.decision, "")
            elif action == "interrupt" and not is_stopped:
                is_stopped = True
                waiting += adapter.interrupt()
        waiting = adapter.feed(line) if line is not None else adapter.ended(-9, "")
    return outs + waiting


def load(kind: str, name: str) -> list[bytes]:
    return (RECORDED / kind / f"{name}.stdout.jsonl").read_bytes().splitlines()


def expected(kind: str, name: str) -> list[dict[str, Any]]:
    text = (RECORDED / kind / f"{name}.chunks.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def dump(outs: list[Out]) -> str:
    """Return the chunks as a golden file."""
    return "".join(json.dumps(c, ensure_ascii=False) + "\n" for c in chunks_of(outs))
