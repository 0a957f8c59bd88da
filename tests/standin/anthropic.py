"""Anthropic Messages: what a request says, and the events of an answer. No I/O."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.standin.scripts import Decline, Refuse, Stop, Text, Thinking, Tool, refusal
from tests.standin.tools import as_offered

Json = dict[str, Any]
_numbers = itertools.count(1)
TOO_LONG = ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 10,
    "cache_read_input_tokens": 20,
    "output_tokens": 1,
}
OUTPUT_TOKENS = 30
# What ends a stream besides its last event.
LAST = b""


def read(body: Json) -> tuple[list[str], list[str]]:
    """Return what the person said, newest last, and the tool results to go on from.

    The CLI puts reminders in front of what was said, may add a ``system`` message last, and
    joins results and what is said after them to one message: then the saying counts.
    """
    said: list[str] = []
    results: list[str] = []
    for message in body.get("messages", []):
        if message.get("role") != "user":
            continue
        texts: list[str] = []
        for block in _blocks(message):
            if block.get("type") == "tool_result":
                results.append(_text(block.get("content")))
            elif block.get("type") == "text" and _is_said(block["text"]):
                texts.append(block["text"])
        if texts:
            said.append("\n".join(texts))
            results = []
    return said, results


def _blocks(message: Json) -> list[Json]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _is_said(text: str) -> bool:
    return not text.lstrip().startswith(("<system-reminder>", "[Request interrupted"))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content or [])


def error(refused: Refuse) -> Json:
    kind, message = refusal(refused, TOO_LONG)
    return {"type": "error", "error": {"type": kind, "message": message}}


def sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


class Message:
    """The events of one streamed message, block by block."""

    def __init__(self, body: Json) -> None:
        self.model = str(body.get("model"))
        self.offered = {
            tool.get("name", ""): tuple((tool.get("input_schema") or {}).get("properties") or ())
            for tool in body.get("tools", [])
        }
        self.content: list[Json] = []
        self.stop = "end_turn"
        self.details: Json | None = None

    def begin(self) -> Iterator[Json]:
        yield {"type": "message_start", "message": self.whole() | {"stop_reason": None}}

    def whole(self) -> Json:
        """The message as it is answered when not streamed."""
        return {
            "id": f"msg_{next(_numbers):06}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.content,
            "stop_reason": self.stop,
            "stop_sequence": None,
            "usage": USAGE,
        } | self._details()

    def _details(self) -> Json:
        return {"stop_details": self.details} if self.details else {}

    def block(self, step: Text | Thinking | Tool | Stop | Decline) -> Iterator[tuple[Json, float]]:
        """Yield the events of one block, each with the seconds to wait before it."""
        if isinstance(step, Decline):
            self.stop = "refusal"
            self.details = {"type": "refusal", "category": "cyber", "explanation": step.words}
            return
        if isinstance(step, Stop):
            self.stop = step.reason
            return
        if isinstance(step, Tool):
            step = as_offered(step, self.offered)
        index = len(self.content)
        empty, whole, deltas = _parts(step)
        if isinstance(step, Tool):
            self.stop = "tool_use"
        gap = step.gap if isinstance(step, Text) else 0
        yield {"type": "content_block_start", "index": index, "content_block": empty}, 0
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}, gap
        self.content.append(whole)
        yield {"type": "content_block_stop", "index": index}, 0

    def end(self) -> Iterator[Json]:
        delta = {"stop_reason": self.stop, "stop_sequence": None} | self._details()
        usage = USAGE | {"output_tokens": OUTPUT_TOKENS}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}


def _parts(step: Text | Thinking | Tool) -> tuple[Json, Json, list[Json]]:
    """Return a block when it starts, when it is whole, and the deltas between."""
    if isinstance(step, Text):
        text = "".join(step.pieces) or step.text
        deltas = [{"type": "text_delta", "text": piece} for piece in step.pieces]
        return {"type": "text", "text": ""}, {"type": "text", "text": text}, deltas
    if isinstance(step, Thinking):
        whole = {"type": "thinking", "thinking": step.text, "signature": "c3RhbmRpbg=="}
        deltas = [
            {"type": "thinking_delta", "thinking": step.text},
            {"type": "signature_delta", "signature": whole["signature"]},
        ]
        return {"type": "thinking", "thinking": "", "signature": ""}, whole, deltas
    call_id = step.call_id or f"toolu_{next(_numbers):06}"
    start = {"type": "tool_use", "id": call_id, "name": step.name}
    text = json.dumps(step.input)
    half = len(text) // 2
    deltas = [{"type": "input_json_delta", "partial_json": p} for p in (text[:half], text[half:])]
    return start | {"input": {}}, start | {"input": step.input}, deltas
