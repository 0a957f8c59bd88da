"""The mapping of the demo agent's lines (``agents/demo_agent.py``) to outputs."""

from __future__ import annotations

import json
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.base import (
    Applied,
    Json,
    Launch,
    NotSteered,
    Out,
    Steered,
    TurnInput,
    Write,
    words_of,
)
from agents.harness.lines import as_object, text_of
from agents.harness.questions import Answers

PROGRAM = "mesh-demo-agent"


class DemoAdapter:
    """See ``agents.harness.base.Adapter``."""

    kind = "demo"

    def __init__(self) -> None:
        self._answer: AnswerBuilder | None = None
        self._session = ""
        self._part = ("", "")  # kind and id of the open part
        self._parts = 0
        self._questions: dict[str, str] = {}  # open approval → its call
        self._steers: list[str] = []  # sent, and not yet read
        self._interrupted = False
        self._error = ""

    def launch(self, turn: TurnInput) -> Launch:
        resume = turn.resume_session_ref
        return Launch(PROGRAM, ("--resume", resume) if resume else ())

    def key(self, turn: TurnInput) -> str:
        return "demo"  # level and mode come with each turn

    def begin(self, turn: TurnInput) -> list[Out]:
        self._answer = AnswerBuilder(turn.run_id)
        self._part, self._parts = ("", ""), 0
        self._questions, self._interrupted, self._error = {}, False, ""
        self._steers = []
        self._answer.start()
        request = {"prompt": turn.prompt, "level": turn.approval_level, "mode": turn.mode}
        self._answer.put(_write("turn", **request))
        return self._answer.take()

    def feed(self, line: bytes) -> list[Out]:
        if self._answer is None or not line.strip():
            return []
        message = as_object(line)
        handle = _HANDLERS.get(text_of(message, "type")) if message is not None else None
        if message is None or handle is None:
            self._answer.notice(self.kind, line)
        else:
            handle(self, self._answer, message)
        return self._outputs()

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        call = self._questions.pop(approval_id, None)
        if self._answer is None or call is None:
            return []
        self._answer.put(_write("answer", id=approval_id, decision=decision, reason=reason))
        self._answer.put(Applied(approval_id, decision))
        return self._answer.take()

    def steer(self, steer_id: str, message: Json) -> list[Out]:
        if self._answer is None:
            return []
        self._steers.append(steer_id)
        return [_write("steer", id=steer_id, text=words_of(message))]

    def interrupt(self) -> list[Out]:
        if self._answer is None:
            return []
        self._interrupted = True
        return [_write("interrupt")]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        if self._answer is None:
            return []
        if self._interrupted:
            self._answer.abort(self._metadata())
        else:
            said = f": {stderr.strip()[-500:]}" if stderr.strip() else "."
            self._answer.fail("harness_crashed", f"The demo agent ended in the middle{said}")
        return self._outputs()

    def _outputs(self) -> list[Out]:
        assert self._answer is not None
        outs = self._answer.take()
        if self._answer.finished:
            self._answer = None
        return outs

    def _metadata(self) -> dict[str, Any]:
        if not self._session:
            return {}
        return {"codingAgentSessionId": self._session, "codingAgentProvider": self.kind}

    # One method for each kind of line

    def _on_session(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._session = text_of(message, "id")
        if self._session:
            answer.metadata(self._metadata())

    def _on_text(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._grow(answer, "text", text_of(message, "delta"))

    def _on_thinking(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._grow(answer, "reasoning", text_of(message, "delta"))

    def _grow(self, answer: AnswerBuilder, kind: str, delta: str) -> None:
        if self._part[0] != kind:
            self._close_part(answer)
            self._parts += 1
            self._part = (kind, f"{answer.message_id}:{self._parts}")
        answer.grow(kind, self._part[1], delta)

    def _close_part(self, answer: AnswerBuilder) -> None:
        answer.close(self._part[1])
        self._part = ("", "")

    def _on_tool(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._close_part(answer)
        answer.call_input(text_of(message, "id"), text_of(message, "name"), message.get("input"))

    def _on_ask(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        approval, call = text_of(message, "id"), text_of(message, "tool")
        self._questions[approval] = call
        answer.ask(approval, call, text_of(message, "name"), message.get("input"))

    def _on_output(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        is_preliminary = message.get("partial") is True
        answer.result(text_of(message, "id"), message.get("output"), is_preliminary=is_preliminary)

    def _on_failed(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        answer.call_failed(text_of(message, "id"), text_of(message, "text"))

    def _on_denied(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        answer.deny(text_of(message, "id"))
        answer.call_failed(text_of(message, "id"), "Denied.")

    def _on_steered(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        steer_id = text_of(message, "id")
        if steer_id in self._steers:
            self._steers.remove(steer_id)
            self._close_part(answer)
            answer.put(Steered(steer_id))

    def _on_error(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._error = text_of(message, "message") or "The demo agent failed."

    def _on_end(self, answer: AnswerBuilder, message: dict[str, Any]) -> None:
        self._close_part(answer)
        for steer_id in self._steers:  # it came too late for this turn
            answer.put(NotSteered(steer_id))
        if self._error:
            answer.fail("demo_failed", self._error, self._metadata())
        elif self._interrupted or message.get("reason") == "interrupted":
            answer.abort(self._metadata())
        else:
            answer.finish("stop", self._metadata())


_HANDLERS = {
    "session": DemoAdapter._on_session,
    "text": DemoAdapter._on_text,
    "thinking": DemoAdapter._on_thinking,
    "tool": DemoAdapter._on_tool,
    "ask": DemoAdapter._on_ask,
    "output": DemoAdapter._on_output,
    "failed": DemoAdapter._on_failed,
    "denied": DemoAdapter._on_denied,
    "steered": DemoAdapter._on_steered,
    "error": DemoAdapter._on_error,
    "end": DemoAdapter._on_end,
}


def _write(kind: str, **fields: Any) -> Write:
    return Write(json.dumps({"type": kind, **fields}).encode())
