"""OpenAI Responses: what a request says, and the events of an answer. No I/O."""

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
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
)
USAGE = {
    "input_tokens": 130,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 160,
}


def read(body: Json) -> tuple[list[str], list[str]]:
    """Return what the person said, newest last, and the tool results to go on from.

    The program says things in the person's name too, about the folder and its rules: they
    begin with a tag or a heading. Only a message that came after the results takes their turn.
    """
    said: list[str] = []
    results: list[str] = []
    for item in body.get("input", []):
        if item.get("role") == "user":
            parts = item["content"]
            parts = [{"text": parts}] if isinstance(parts, str) else parts
            texts = [part.get("text", "") for part in parts if _is_said(part)]
            if texts:
                said.append("\n".join(texts))
                results = []
        elif str(item.get("type")).endswith("_call_output"):
            results.append(_text(item.get("output")))
    return said, results


def _is_said(part: Json) -> bool:
    text = part.get("text", "<").lstrip()
    return text.startswith("<message>") or not text.startswith(("<", "# AGENTS.md"))


def _text(output: Any) -> str:
    if isinstance(output, list):
        return "".join(part.get("text", "") for part in output)
    return str(output)


def error(refused: Refuse) -> Json:
    kind, message = refusal(refused, TOO_LONG)
    return {"error": {"type": kind, "message": message, "code": kind}}


def sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


LAST = b""


class Message:
    """The events of one streamed response, item by item."""

    def __init__(self, body: Json) -> None:
        self.offered = {tool.get("name", ""): () for tool in body.get("tools", [])}
        self.output: list[Json] = []
        self.id = f"resp_{next(_numbers):06}"
        self.reason = ""

    def begin(self) -> Iterator[Json]:
        yield {"type": "response.created", "response": {"id": self.id}}

    def whole(self) -> Json:
        """The response as it is answered when not streamed."""
        cut = {"incomplete_details": {"reason": "max_output_tokens"}} if self.reason else {}
        return {
            "id": self.id,
            "object": "response",
            "status": "incomplete" if self.reason else "completed",
            "output": self.output,
            "usage": USAGE,
        } | cut

    def block(self, step: Text | Thinking | Tool | Stop | Decline) -> Iterator[tuple[Json, float]]:
        """Yield the events of one item, each with the seconds to wait before it."""
        if isinstance(step, Stop):
            self.reason = step.reason
            return
        index = len(self.output)
        start, deltas, item = _parts(step, self.offered)
        gap = step.gap if isinstance(step, Text) else 0
        yield {"type": "response.output_item.added", "output_index": index, "item": start}, 0
        for delta in deltas:
            yield {"output_index": index, "item_id": item["id"]} | delta, gap
        self.output.append(item)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0

    def end(self) -> Iterator[Json]:
        kind = "incomplete" if self.reason else "completed"
        yield {"type": f"response.{kind}", "response": self.whole()}


def _parts(
    step: Text | Thinking | Tool | Decline, offered: dict[str, tuple[str, ...]]
) -> tuple[Json, list[Json], Json]:
    """Return an item when it starts, the deltas, and the item when it is whole."""
    number = next(_numbers)
    if isinstance(step, Decline):
        begun: Json = {"type": "message", "id": f"msg_{number:06}", "role": "assistant"}
        said = {"content_index": 0}
        parts = [
            said | {"type": "response.refusal.delta", "delta": step.words},
            said | {"type": "response.refusal.done", "refusal": step.words},
        ]
        refused = [{"type": "refusal", "refusal": step.words}]
        return begun | {"content": []}, parts, begun | {"content": refused}
    if isinstance(step, Text):
        start: Json = {"type": "message", "id": f"msg_{number:06}", "role": "assistant"}
        text = "".join(step.pieces) or step.text
        kind = {"type": "response.output_text.delta", "content_index": 0}
        deltas = [kind | {"delta": piece} for piece in step.pieces]
        content = [{"type": "output_text", "text": text}]
        return start | {"content": []}, deltas, start | {"content": content}
    if isinstance(step, Thinking):
        start = {"type": "reasoning", "id": f"rs_{number:06}", "encrypted_content": "c3RhbmRpbg=="}
        deltas = [
            {"type": "response.reasoning_summary_part.added", "summary_index": 0},
            {
                "type": "response.reasoning_summary_text.delta",
                "summary_index": 0,
                "delta": step.text,
            },
        ]
        summary = [{"type": "summary_text", "text": step.text}]
        return start | {"summary": []}, deltas, start | {"summary": summary}
    tool = as_offered(step, offered)
    server, _, name = tool.name.rpartition("__")  # an MCP tool: the program wants it in two
    start = {
        "type": "function_call",
        "id": f"fc_{number:06}",
        "call_id": f"call_{number:06}",
        "name": name,
    } | ({"namespace": server} if server else {})
    return start | {"arguments": ""}, [], start | {"arguments": json.dumps(tool.input)}
