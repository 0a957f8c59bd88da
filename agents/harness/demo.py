"""The mapping of the demo agent's lines (``agents/demo_agent.py``) to outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.base import (
    Applied,
    Background,
    BackgroundTask,
    Json,
    Launch,
    NotSteered,
    Opens,
    Out,
    Steered,
    TurnInput,
    Unasked,
    Write,
    words_of,
)
from agents.harness.lines import as_object, list_of, text_of
from agents.harness.questions import Answers

PROGRAM = "mesh-demo-agent"


@dataclass(slots=True)
class UnaskedTurn:
    """A turn that the program began by itself: why, and its lines until it has an answer."""

    reason: str
    lines: list[bytes] = field(default_factory=list)
    is_announced: bool = False


class DemoAdapter:
    """See ``agents.harness.base.Adapter``."""

    kind = "demo"
    is_starting = False
    opens: Opens = ""

    def __init__(self) -> None:
        self._answer: AnswerBuilder | None = None
        self._session = ""
        self._part = ("", "")  # kind and id of the open part
        self._parts = 0
        self._questions: dict[str, str] = {}  # open approval → its call
        self._steers: list[str] = []  # sent, and not yet read
        self._interrupted = False
        self._error = ""
        self._tasks: dict[str, BackgroundTask] = {}
        # Turns that the program began by itself and that are not begun here, with their lines.
        self._unasked: list[UnaskedTurn] = []
        self._keeps = False  # the lines to come belong to the last of them

    def tell_waiting(self, servers: Sequence[str]) -> list[Out]:
        return []

    def leave_out(self, servers: Sequence[str]) -> list[Out]:
        return []

    def launch(self, turn: TurnInput) -> Launch:
        resume = turn.resume_session_ref
        return Launch(PROGRAM, ("--resume", resume) if resume else ())

    def key(self, turn: TurnInput) -> str:
        return "demo"  # level and mode come with each turn

    def begin(self, turn: TurnInput) -> list[Out]:
        for unasked in self._unasked:  # this turn comes first
            unasked.is_announced = False
        self._answer = self._open(turn)
        request = {"prompt": turn.prompt, "level": turn.approval_level, "mode": turn.mode}
        self._answer.put(_write("turn", **request))
        return self._answer.take()

    def _open(self, turn: TurnInput) -> AnswerBuilder:
        answer = AnswerBuilder(turn.run_id)
        self._part, self._parts = ("", ""), 0
        self._questions, self._interrupted, self._error = {}, False, ""
        self._steers = []
        answer.start()
        return answer

    def begin_unasked(self, turn: TurnInput) -> list[Out]:
        self._answer = self._open(turn)
        if not self._unasked:
            self._answer.finish("stop", self._metadata())
            return self._outputs()
        unasked = self._unasked.pop(0)
        self._keeps &= bool(self._unasked)
        self._answer.data("unasked", {"reason": unasked.reason}, part_id="unasked")
        outs = self._answer.take()
        for line in unasked.lines:
            outs += self._take(as_object(line), line)
        return outs

    def stop_task(self, task_id: str) -> list[Out]:
        return [_write("stop", id=task_id)] if task_id in self._tasks else []

    def feed(self, line: bytes) -> list[Out]:
        message = as_object(line)
        kind = text_of(message, "type") if message is not None else ""
        if message is not None and kind == "background":
            return [self._note_background(message)]
        if message is not None and kind == "unasked":
            self._unasked.append(UnaskedTurn(text_of(message, "reason")))
            self._keeps = True
            return self._announce()
        if self._keeps:
            self._unasked[-1].lines.append(line)
            self._keeps = kind != "end"
            return []
        return self._take(message, line)

    def _note_background(self, message: dict[str, Any]) -> Background:
        tasks = list_of(message, "tasks")
        self._tasks = {
            text_of(each, "id"): BackgroundTask(text_of(each, "id"), text_of(each, "title"))
            for each in tasks
        }
        return Background(tuple(self._tasks.values()))

    def _announce(self) -> list[Out]:
        """Return the output that asks for an answer to the first of the program's own turns, once,
        and not in another turn."""
        if self._answer is not None or not self._unasked or self._unasked[0].is_announced:
            return []
        self._unasked[0].is_announced = True
        return [Unasked(self._unasked[0].reason)]

    def _take(self, message: dict[str, Any] | None, line: bytes) -> list[Out]:
        if self._answer is None or not line.strip():
            return []
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
        if decision == "allow":
            self._answer.allow(call)
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
        self._answer.interrupt()
        return [_write("interrupt")]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        gone: list[Out] = [Background()] if self._tasks else []
        self._tasks, self._unasked, self._keeps = {}, [], False
        return [*gone, *self._on_gone(stderr)]

    def _on_gone(self, stderr: str) -> list[Out]:
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
            outs += self._announce()
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
