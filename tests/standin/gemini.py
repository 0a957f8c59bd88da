"""Gemini generateContent: what a request says, and the events of an answer. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.standin.scripts import Decline, Refuse, Stop, Text, Thinking, Tool, refusal
from tests.standin.tools import as_offered

Json = dict[str, Any]
TOO_LONG = (
    "invalid_argument",
    "The input token count (2100000) exceeds the maximum number of tokens allowed (1048576).",
)
USAGE = {
    "promptTokenCount": 130,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 30,
    "totalTokenCount": 160,
}
LAST = b""


def read(body: Json) -> tuple[list[str], list[str]]:
    """Return what the person said, newest last, and the tool results to go on from."""
    said: list[str] = []
    results: list[str] = []
    for content in body.get("contents", []):
        parts = content.get("parts", [])
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        texts = [part["text"] for part in parts if "text" in part and _is_said(part["text"])]
        if content.get("role") == "model":
            continue
        if answers:
            results = [_text(answer.get("response", {})) for answer in answers]
        elif texts:
            said.append("\n".join(texts))
            results = []
    return said, results


def _is_said(text: str) -> bool:
    return not text.lstrip().startswith(("<session_context>", "This is the Gemini CLI"))


def _text(response: Json) -> str:
    keys = ("output", "return_value", "error")  # of the CLI, of a library, of both
    return str(next((response[key] for key in keys if response.get(key)), ""))


def error(refused: Refuse) -> Json:
    kind, message = refusal(refused, TOO_LONG)
    return {"error": {"code": refused.status, "status": kind.upper(), "message": message}}


def sse(event: Json) -> bytes:
    return f"data: {json.dumps(event)}\r\n\r\n".encode()


class Message:
    """The events of one streamed answer."""

    def __init__(self, body: Json) -> None:
        declared = [d for t in body.get("tools", []) for d in t.get("functionDeclarations", [])]
        self.offered = {each["name"]: () for each in declared}
        self.parts: list[Json] = []
        self.reason = "STOP"

    def begin(self) -> Iterator[Json]:
        yield from ()

    def whole(self) -> Json:
        """The answer as it is given when not streamed."""
        return self._event(self.parts) | {"usageMetadata": USAGE}

    def _event(self, parts: list[Json], **more: str) -> Json:
        return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}} | more]}

    def block(self, step: Text | Thinking | Tool | Stop | Decline) -> Iterator[tuple[Json, float]]:
        """Yield the events of one step, each with the seconds to wait before it."""
        if isinstance(step, Decline):
            # In the middle it is the answer that is blocked, else the prompt.
            self.reason = "SAFETY" if self.parts else ""
            return
        if isinstance(step, Stop):
            self.reason = "MAX_TOKENS"
            return
        gap = step.gap if isinstance(step, Text) else 0
        for part in _parts(step, self.offered):
            self.parts.append(part)
            yield self._event([part]), gap

    def end(self) -> Iterator[Json]:
        if not self.reason:
            blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
            yield blocked | {"usageMetadata": USAGE}
            return
        empty: list[Json] = [{"text": ""}]
        yield self._event(empty, finishReason=self.reason) | {"usageMetadata": USAGE}


def _parts(step: Text | Thinking | Tool, offered: dict[str, tuple[str, ...]]) -> list[Json]:
    if isinstance(step, Text):
        return [{"text": piece} for piece in step.pieces]
    if isinstance(step, Thinking):
        return [{"text": step.text, "thought": True}]
    tool = as_offered(step, offered)
    return [{"functionCall": {"name": tool.name, "args": tool.input}}]
