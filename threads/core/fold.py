"""The fold of chunks into what a reader sees: the AI SDK's UI message.

``mesh/static/mesh/fold.js`` is the same function for the browser; both are held to
``tests/threads/fold_cases.json``. An answer is stored as the fold of its run's chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.harness.unfinished_calls import unfinished
from threads.core import partial_json

Chunk = Mapping[str, Any]

# States of a tool's part in which the call has ended.
SETTLED = ("output-available", "output-error", "output-denied")
# States in which the call can't have started yet.
_BEFORE = ("input-streaming", "approval-requested")
# A new attempt starts: the lost attempt's output is not part of the answer.
RESTARTED = "data-run-restarted"


@dataclass(slots=True)
class Fold:
    """A message under construction; ``apply`` takes the next chunk."""

    message_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_started: bool = False
    _parts: list[dict[str, Any]] = field(default_factory=list)
    # Pieces are joined on reading: appending to a string 100,000 times is quadratic.
    _texts: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)
    _inputs: dict[str, list[str]] = field(default_factory=dict)
    _tools: dict[str, dict[str, Any]] = field(default_factory=dict)

    def apply(self, chunk: Chunk) -> None:
        """Apply the next chunk; one of an unknown kind changes nothing."""
        kind = str(chunk.get("type"))
        if kind == RESTARTED:
            self._restart(chunk)
        elif kind.startswith("data-"):
            self._data(kind, chunk)
        elif kind in _TEXT_STEPS:
            self._text(*_TEXT_STEPS[kind], chunk)
        elif kind.startswith("tool-"):
            self._tool(kind, chunk)
        elif kind == "start-step":
            self._parts.append({"type": "step-start"})
        elif kind == "finish-step":
            self._join()
        elif kind in ("file", "source-url", "source-document"):
            self._parts.append(dict(chunk))
        elif kind in ("start", "finish", "message-metadata"):
            self._message(kind, chunk)

    def parts(self) -> list[dict[str, Any]]:
        """Return the parts so far. They belong to the fold: copy them before changing them."""
        for part, pieces in self._texts.values():
            part["text"] = "".join(pieces)
            pieces[:] = [part["text"]]
        for call_id, pieces in self._inputs.items():
            value = partial_json.parse("".join(pieces))
            if value is not None:
                self._tools[call_id]["input"] = value
        return self._parts

    def _restart(self, chunk: Chunk) -> None:
        for state in (self._parts, self._texts, self._inputs, self._tools, self.metadata):
            state.clear()
        self._data(RESTARTED, chunk)

    def _join(self) -> None:
        self.parts()
        self._texts.clear()

    def _message(self, kind: str, chunk: Chunk) -> None:
        if kind == "start":
            self.is_started = True
            self.message_id = str(chunk.get("messageId") or self.message_id)
        metadata = chunk.get("messageMetadata")
        if isinstance(metadata, Mapping):
            self.metadata = merge(self.metadata, metadata)

    def _text(self, kind: str, step: str, chunk: Chunk) -> None:
        key = f"{kind} {chunk.get('id')}"
        # A delta without its start is kept too: no text may be lost.
        if step == "start" or key not in self._texts:
            if step == "end":
                return
            part = {"type": kind, "text": "", "state": "streaming"}
            self._parts.append(part)
            if key in self._texts:
                self._join()
            self._texts[key] = (part, [])
        part, pieces = self._texts[key]
        if step == "delta":
            pieces.append(str(chunk.get("delta", "")))
        if chunk.get("providerMetadata") is not None:
            part["providerMetadata"] = chunk["providerMetadata"]
        if step == "end":
            part["text"] = "".join(pieces)
            part["state"] = "done"
            del self._texts[key]

    def _tool(self, kind: str, chunk: Chunk) -> None:
        call_id = str(chunk.get("toolCallId"))
        part = self._tools.get(call_id)
        if part is None:
            if kind not in ("tool-input-start", "tool-input-available", "tool-input-error"):
                return
            part = self._tools[call_id] = _new_tool(call_id, chunk)
            self._parts.append(part)
        for name in ("title", "providerExecuted"):
            if chunk.get(name) is not None:
                part[name] = chunk[name]
        if chunk.get("providerMetadata") is not None:
            part[_METADATA.get(kind, "resultProviderMetadata")] = chunk["providerMetadata"]
        if kind == "tool-input-start":
            part["state"] = "input-streaming"
            self._inputs[call_id] = []
            return
        if kind == "tool-input-delta":
            self._inputs.setdefault(call_id, []).append(str(chunk.get("inputTextDelta", "")))
            return
        if call_id in self._inputs:
            self.parts()
            del self._inputs[call_id]
        _TOOL_STEPS.get(kind, _ignore)(part, chunk)

    def _data(self, kind: str, chunk: Chunk) -> None:
        if chunk.get("transient"):
            return
        if kind == "data-approval":
            self._approval(chunk.get("data") or {})
        part_id = chunk.get("id")
        for part in self._parts if part_id is not None else ():
            if part["type"] == kind and part.get("id") == part_id:
                part["data"] = chunk.get("data")
                return
        self._parts.append({k: chunk[k] for k in ("type", "id", "data") if k in chunk})

    def _approval(self, data: Mapping[str, Any]) -> None:
        part = self._tools.get(str(data.get("toolCallId")))
        if part is None or part["state"] != "approval-requested" or not data.get("decision"):
            return
        part["state"] = "approval-responded"
        part["approval"] = {**part["approval"], "approved": data["decision"] == "allow"}
        if data.get("reason"):
            part["approval"]["reason"] = data["reason"]


_TEXT_STEPS = {
    f"{part}-{step}": (part, step)
    for part in ("text", "reasoning")
    for step in ("start", "delta", "end")
}


# The AI SDK keeps a call's provider metadata apart from its result's.
_METADATA = {
    "tool-input-start": "callProviderMetadata",
    "tool-input-available": "callProviderMetadata",
}


def _new_tool(call_id: str, chunk: Chunk) -> dict[str, Any]:
    name = str(chunk.get("toolName"))
    if chunk.get("dynamic"):
        return {"type": "dynamic-tool", "toolName": name, "toolCallId": call_id, "state": ""}
    return {"type": f"tool-{name}", "toolCallId": call_id, "state": ""}


def _ignore(part: dict[str, Any], chunk: Chunk) -> None:
    """Leave the part as it is: the kind of chunk is unknown."""


def _input(part: dict[str, Any], chunk: Chunk) -> None:
    part.update(state="input-available", input=chunk.get("input"))


def _input_error(part: dict[str, Any], chunk: Chunk) -> None:
    part.update(
        state="output-error", input=chunk.get("input"), errorText=chunk.get("errorText", "")
    )


def _ask(part: dict[str, Any], chunk: Chunk) -> None:
    part.update(state="approval-requested", approval={"id": chunk.get("approvalId")})


def _output(part: dict[str, Any], chunk: Chunk) -> None:
    part.update(state="output-available", output=chunk.get("output"))
    part.pop("preliminary", None)
    if chunk.get("preliminary"):
        part["preliminary"] = True


def _output_error(part: dict[str, Any], chunk: Chunk) -> None:
    # The partial output is dropped: the error says how the call ended.
    part.pop("output", None)
    part.pop("preliminary", None)
    part.update(state="output-error", errorText=chunk.get("errorText", ""))


def _output_denied(part: dict[str, Any], chunk: Chunk) -> None:
    part.update(state="output-denied")


_TOOL_STEPS = {
    "tool-input-available": _input,
    "tool-input-error": _input_error,
    "tool-approval-request": _ask,
    "tool-output-available": _output,
    "tool-output-error": _output_error,
    "tool-output-denied": _output_denied,
}


def fold(chunks: Iterable[Chunk]) -> Fold:
    """Return the fold of all ``chunks``."""
    folded = Fold()
    for chunk in chunks:
        folded.apply(chunk)
    return folded


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` merged with ``new``: objects key by key, anything else replaced."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(before, value)
        else:
            merged[key] = value
    return merged


def closing(folded: Fold) -> list[dict[str, Any]]:
    """Return the chunks that close the parts a run left open when it ended abruptly."""
    chunks: list[dict[str, Any]] = []
    for key in folded._texts:
        kind, part_id = key.split(" ", 1)
        chunks.append({"type": f"{kind}-end", "id": part_id})
    for call_id, part in folded._tools.items():
        if part["state"] in SETTLED:
            continue
        is_allowed = part.get("approval", {}).get("approved", True)
        has_begun = part["state"] not in _BEFORE and is_allowed
        is_dynamic = part["type"] == "dynamic-tool"
        chunks.append(unfinished(call_id, has_begun=has_begun, is_dynamic=is_dynamic))
    return chunks
