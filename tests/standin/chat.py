"""OpenAI Chat Completions: what a request says, and the events of an answer. No I/O."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.standin.scripts import Decline, Refuse, Stop, Text, Thinking, Tool, refusal
from tests.standin.tools import as_offered

Json = dict[str, Any]
_numbers = itertools.count(1)
TOO_LONG = (
    "context_length_exceeded",
    "This model's maximum context length is 100000 tokens. However, your messages resulted in"
    " 210000 tokens.",
)
USAGE = {
    "prompt_tokens": 130,
    "completion_tokens": 30,
    "total_tokens": 160,
    "prompt_tokens_details": {"cached_tokens": 20},
}
LAST = b"data: [DONE]\n\n"


def read(body: Json) -> tuple[list[str], list[str]]:
    """Return what the person said, newest last, and the tool results to go on from."""
    said: list[str] = []
    results: list[str] = []
    for message in body.get("messages", []):
        if message.get("role") == "user":
            texts = [text for text in _texts(message.get("content")) if _is_said(text)]
            if texts:
                said.append("\n".join(texts))
                results = []
        elif message.get("role") == "tool":
            results.append("".join(_texts(message.get("content"))))
    return said, results


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part.get("text", "") for part in content or []]


def _is_said(text: str) -> bool:
    return not text.lstrip().startswith("<system-reminder>")


def error(refused: Refuse) -> Json:
    kind, message = refusal(refused, TOO_LONG)
    return {"error": {"type": kind, "message": message, "code": kind}}


def sse(event: Json) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def _arguments(function: Json) -> tuple[str, ...]:
    return tuple((function.get("parameters") or {}).get("properties") or ())


class Message:
    """The chunks of one streamed completion."""

    def __init__(self, body: Json) -> None:
        self.model = str(body.get("model"))
        functions = [tool.get("function", {}) for tool in body.get("tools", [])]
        self.offered = {each.get("name", ""): _arguments(each) for each in functions}
        self.id = f"chatcmpl-{next(_numbers):06}"
        self.message: Json = {"role": "assistant", "content": ""}
        self.reason = "stop"
        # OpenRouter tells the cost, in US dollars, to who asks for it.
        wants_cost = bool((body.get("usage") or {}).get("include"))
        self.usage: Json = USAGE | ({"cost": 0.0125} if wants_cost else {})

    def _chunk(self, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        head = {"id": self.id, "object": "chat.completion.chunk", "model": self.model}
        return head | {"created": 1, "choices": [choice]}

    def begin(self) -> Iterator[Json]:
        yield self._chunk({"role": "assistant", "content": ""})

    def whole(self) -> Json:
        """The completion as it is answered when not streamed."""
        choice = {"index": 0, "message": self.message, "finish_reason": self.reason}
        head = {"id": self.id, "object": "chat.completion", "model": self.model}
        return head | {"created": 1, "choices": [choice], "usage": self.usage}

    def block(self, step: Text | Thinking | Tool | Stop | Decline) -> Iterator[tuple[Json, float]]:
        """Yield the chunks of one step, each with the seconds to wait before it."""
        if isinstance(step, Decline):
            # As a filter in front of the model does; the model itself sends a ``refusal``.
            self.reason = "content_filter"
            return
        if isinstance(step, Stop):
            self.reason = "length"
        elif isinstance(step, Text):
            for piece in step.pieces:
                self.message["content"] += piece
                yield self._chunk({"content": piece}), step.gap
        elif isinstance(step, Thinking):
            yield self._chunk({"reasoning_content": step.text}), 0
        else:
            self.reason = "tool_calls"
            calls = self.message.setdefault("tool_calls", [])
            calls.append(call := self._call(as_offered(step, self.offered)))
            yield self._chunk({"tool_calls": [{"index": len(calls) - 1} | call]}), 0

    def _call(self, tool: Tool) -> Json:
        function = {"name": tool.name, "arguments": json.dumps(tool.input)}
        return {"id": f"call_{next(_numbers):06}", "type": "function", "function": function}

    def end(self) -> Iterator[Json]:
        yield self._chunk({}, self.reason) | {"usage": self.usage}
