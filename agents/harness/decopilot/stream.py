"""The model library's events as the chunks of an answer.

The events are pydantic-ai's ``AgentStreamEvent``; they are distinguished by their ``kind``
fields, so that this module loads without the library.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.base import Out
from agents.harness.decopilot.memory import begun_call_of, call_of

_KINDS = {"text": "text", "thinking": "reasoning"}


class AnswerStream:
    """One answer in progress; each method returns the outputs to publish now."""

    def __init__(self, run_id: str, fence: int) -> None:
        self.answer = AnswerBuilder(run_id)
        self._prefix = f"{run_id}:{fence}"
        self._steps = 0
        self._open: dict[int, str] = {}  # index of a part → its id
        self._calls: dict[int, str] = {}  # index of a part → its call

    def begin(self, lost: Iterable[dict[str, Any]] = ()) -> list[Out]:
        """Open the message, and repeat the parts of a ``lost`` attempt."""
        self.answer.start()
        for part in lost:
            self._repeat(part)
        return self.answer.take()

    def _repeat(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if kind == "step-start":
            self._step()
        elif kind in ("text", "reasoning") and isinstance(part.get("text"), str):
            part_id = f"{self._prefix}:again:{self._next()}"
            self.answer.grow(kind, part_id, part["text"])
            self.answer.close(part_id)
        elif (call := call_of(part)) is not None:
            self.answer.call_input(call.call_id, call.name, call.input)
            if call.outcome == "success":
                self.answer.result(call.call_id, part.get("output"))
            else:
                if call.outcome == "denied":
                    self.answer.deny(call.call_id)
                self.answer.call_failed(call.call_id, call.output)
        elif (begun := begun_call_of(part)) is not None:
            self.answer.call_input(begun.call_id, begun.name, begun.input)

    def step(self) -> list[Out]:
        """Start another response of the model."""
        self._step()
        return self.answer.take()

    def _step(self) -> None:
        self._open, self._calls = {}, {}
        self._next()
        self.answer.step()

    def _next(self) -> int:
        self._steps += 1
        return self._steps

    def take(self, event: Any) -> list[Out]:
        """Take one event; one of an unknown kind has no output."""
        handle = _EVENTS.get(event.event_kind)
        if handle is not None:
            handle(self, event)
        return self.answer.take()

    def _on_start(self, event: Any) -> None:
        part = event.part
        self._on_end(event)  # the same index again replaces the part that was there
        if part.part_kind in _KINDS:
            self._grow(event.index, _KINDS[part.part_kind], part.content)
        elif part.part_kind == "tool-call":
            self._calls[event.index] = part.tool_call_id
            self.answer.call(part.tool_call_id, part.tool_name)
            self._input(event.index, part.args)

    def _on_delta(self, event: Any) -> None:
        delta = event.delta
        if delta.part_delta_kind in _KINDS:
            self._grow(event.index, _KINDS[delta.part_delta_kind], delta.content_delta)
        elif delta.part_delta_kind == "tool_call":
            self._input(event.index, delta.args_delta)

    def _grow(self, index: int, kind: str, text: str | None) -> None:
        part_id = self._open.setdefault(index, f"{self._prefix}:{self._steps}:{index}")
        self.answer.grow(kind, part_id, text or "")

    def _input(self, index: int, piece: Any) -> None:
        # Whole objects come with the call itself; only text streams.
        if isinstance(piece, str) and index in self._calls:
            self.answer.grow_call_input(self._calls[index], piece)

    def _on_end(self, event: Any) -> None:
        if part_id := self._open.pop(event.index, None):
            self.answer.close(part_id)

    def _on_call(self, event: Any) -> None:
        part = event.part
        self.answer.call_input(part.tool_call_id, part.tool_name, input_of(part.args))

    def _on_result(self, event: Any) -> None:
        part = event.part
        self.answer.call_input(part.tool_call_id, part.tool_name, {})
        text = part.content if isinstance(part.content, str) else json.dumps(part.content)
        if part.outcome == "success":
            self.answer.result(part.tool_call_id, text)
        else:
            if part.outcome == "denied":
                self.answer.deny(part.tool_call_id)
            self.answer.call_failed(part.tool_call_id, text)


def input_of(args: Any) -> dict[str, Any]:
    """Return the input of a call, which may come as JSON text; a non-object is wrapped."""
    if isinstance(args, str):
        try:
            args = json.loads(args or "{}")
        except (ValueError, RecursionError):
            return {"input": args}
    return args if isinstance(args, dict) else {"input": args} if args else {}


_EVENTS = {
    "part_start": AnswerStream._on_start,
    "part_delta": AnswerStream._on_delta,
    "part_end": AnswerStream._on_end,
    "function_tool_call": AnswerStream._on_call,
    "function_tool_result": AnswerStream._on_result,
}
