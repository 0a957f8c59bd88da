"""What every stream of an answer must be, checked chunk by chunk.

The keys are those of the AI SDK's ``uiMessageChunkSchema`` (ai 6.0); the order is what its
reader needs to not raise: a part exists before it grows, a call before its result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from agents.harness.base import Ask, Done, Emit, Fail, Out
from tests.harness.driver import chunks_of

Chunk = dict[str, Any]

# type → required keys, optional keys
KEYS: dict[str, tuple[set[str], set[str]]] = {
    "start": ({"messageId"}, {"messageMetadata"}),
    "start-step": (set(), set()),
    "text-start": ({"id"}, set()),
    "text-delta": ({"id", "delta"}, set()),
    "text-end": ({"id"}, set()),
    "reasoning-start": ({"id"}, set()),
    "reasoning-delta": ({"id", "delta"}, set()),
    "reasoning-end": ({"id"}, set()),
    "tool-input-start": ({"toolCallId", "toolName", "dynamic"}, {"title", "providerMetadata"}),
    "tool-input-delta": ({"toolCallId", "inputTextDelta"}, set()),
    "tool-input-available": (
        {"toolCallId", "toolName", "input", "dynamic"},
        {"title", "providerMetadata"},
    ),
    "tool-approval-request": ({"approvalId", "toolCallId"}, set()),
    "tool-output-available": ({"toolCallId", "output", "dynamic"}, {"preliminary"}),
    "tool-output-error": ({"toolCallId", "errorText", "dynamic"}, {"providerMetadata"}),
    "tool-output-denied": ({"toolCallId"}, set()),
    "message-metadata": ({"messageMetadata"}, set()),
    "finish-step": (set(), set()),
    "finish": ({"finishReason"}, {"messageMetadata"}),
    "error": ({"errorText"}, set()),
    "abort": (set(), set()),
}
DATA_KEYS: tuple[set[str], set[str]] = ({"data"}, {"id", "transient"})
REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}
ENDS = {"tool-output-available", "tool-output-error", "tool-output-denied"}


def check_turn(outs: list[Out]) -> None:
    """Fail unless ``outs`` is one whole turn: its chunks whole, ``Done`` once and last."""
    assert [type(out) for out in outs].count(Done) == 1
    assert isinstance(outs[-1], Done)
    chunks = chunks_of(outs)
    check_chunks(chunks)
    failed = any(isinstance(out, Fail) for out in outs)
    assert failed == (chunks[-1]["finishReason"] == "error")
    for out in outs:
        if isinstance(out, Ask):
            assert out.chunk["approvalId"] == out.approval_id
            assert out.chunk["toolCallId"] == out.tool_call_id
        if isinstance(out, Emit):
            assert out.chunk["type"] != "tool-approval-request", "a question without its facts"


def check_chunks(chunks: list[Chunk]) -> None:
    """Fail unless ``chunks`` is a whole message that any reader can take."""
    for chunk in chunks:
        check_keys(chunk)
    types = [chunk["type"] for chunk in chunks]
    assert types[0] == "start"
    assert types[-1] == "finish"
    assert Counter(types)["start"] == Counter(types)["finish"] == 1
    assert chunks[-1]["finishReason"] in REASONS
    assert ("error" in types) == (chunks[-1]["finishReason"] == "error")
    reader = _Reader()
    for chunk in chunks:
        reader.take(chunk)
    reader.check_closed()


def check_keys(chunk: Chunk) -> None:
    """Fail unless the chunk has the keys of its type and no other, and is JSON."""
    kind = chunk["type"]
    required, optional = DATA_KEYS if kind.startswith("data-") else KEYS[kind]
    keys = set(chunk) - {"type"}
    assert required <= keys <= required | optional, chunk
    for key in ("id", "delta", "toolCallId", "toolName", "errorText", "inputTextDelta"):
        assert isinstance(chunk.get(key, ""), str), chunk
    assert chunk.get("dynamic", True) is True
    json.dumps(chunk, allow_nan=False, ensure_ascii=False).encode()
    assert "\x00" not in "".join(texts_in(chunk)), "PostgreSQL refuses it"


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text of a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from texts_in(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


class _Reader:
    """Keeps what is open, as the AI SDK's reader does."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.calls: dict[str, str] = {}
        self.ended: set[str] = set()
        self.in_step = False

    def take(self, chunk: Chunk) -> None:
        kind = chunk["type"]
        if kind in ("start-step", "finish-step"):
            assert self.in_step == (kind == "finish-step"), kind
            self.in_step = kind == "start-step"
            assert not self.parts, "a part outlives its step"
        elif kind.startswith(("text-", "reasoning-")):
            self._part(chunk["id"], *kind.split("-"))
        elif kind.startswith("tool-"):
            self._call(chunk["toolCallId"], kind, chunk)

    def _part(self, part_id: str, kind: str, verb: str) -> None:
        assert self.in_step
        if verb == "start":
            assert part_id not in self.parts
            self.parts[part_id] = kind
        else:
            assert self.parts.get(part_id) == kind, f"{verb} of {part_id}, which is not open"
        if verb == "end":
            del self.parts[part_id]

    def _call(self, call: str, kind: str, chunk: Chunk) -> None:
        assert call not in self.ended, f"{kind} after the end of {call}"
        state = self.calls.get(call, "")
        if kind == "tool-input-start":
            assert self.in_step
            assert not state
            self.calls[call] = "streaming"
        elif kind in ("tool-input-delta", "tool-input-available"):
            # Said again of a call that ran without a question, or whose question was taken back.
            mesh = chunk.get("providerMetadata", {}).get("mesh", {})
            is_marked = mesh.get("unasked") is True or "withdrawn" in mesh
            is_mark = state in ("called", "asked") and is_marked
            assert state == "streaming" or is_mark, f"{kind} in state {state!r}"
            if kind == "tool-input-available":
                self.calls[call] = "called"
        else:
            assert state in ("called", "asked"), f"{kind} in state {state!r}"
            if kind == "tool-approval-request":
                self.calls[call] = "asked"
            elif not chunk.get("preliminary"):
                del self.calls[call]
                self.ended.add(call)

    def check_closed(self) -> None:
        assert not self.parts
        assert not self.calls
        assert not self.in_step
