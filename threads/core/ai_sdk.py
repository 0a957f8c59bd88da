"""Our chunks and parts in the forms of the AI SDK's versions.

A journal is written for version 6 of npm ``ai``. Version 7 has forms of its own for what is only
data in 6: a message that a person sent during an answer, and what was answered elsewhere. It can
also take back the step in progress. ``docs/ai-sdk.md`` says what a client does with each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from threads.core.decide import STEER
from threads.core.fold import RESTARTED

Chunk = Mapping[str, Any]

VERSIONS: Final = ("6", "7")
STEERING: Final = "steering-message"

# Chunks whose kind is not in it are the same in every version: only these need to be parsed.
_DIFFERENT: Final = (RESTARTED, STEER, "data-approval", "tool-approval-request", "step")


def may_differ(text: str) -> bool:
    """Return whether a chunk, as JSON, might be another one in version 7."""
    return any(name in text for name in _DIFFERENT)


@dataclass(slots=True)
class Version7:
    """Translates one stream, from the start of a run, for a client of version 7."""

    _steps: int = 0  # that the client has begun
    _may_join: bool = False  # the client is in a step that was emptied
    _asked: set[str] = field(default_factory=set)  # questions without an answer

    def translate(self, chunk: Chunk) -> list[Chunk]:
        """Return what the client gets instead of ``chunk``."""
        kind = chunk.get("type")
        if kind == RESTARTED:
            return self._restart(chunk)
        if kind == STEER:
            return [steering(chunk)]
        if kind == "start-step":
            return self._step(chunk)
        if kind == "tool-approval-request":
            self._asked.add(str(chunk.get("approvalId")))
        if kind == "data-approval":
            return [chunk, *self._answer(chunk.get("data"))]
        return [chunk]

    def _restart(self, chunk: Chunk) -> list[Chunk]:
        """Only the step in progress can be taken back: with earlier ones, the client has to read
        the run again, which begins after the restart then."""
        self._asked.clear()
        is_whole = self._steps <= 1
        self._may_join = self._steps == 1
        reset = {"type": "reset-step"}
        return [reset] if is_whole else [reset, chunk]

    def _step(self, chunk: Chunk) -> list[Chunk]:
        if self._may_join:  # the SDK keeps the boundary of a step that it has emptied
            self._may_join = False
            return []
        self._steps += 1
        return [chunk]

    def _answer(self, data: object) -> Iterable[Chunk]:
        if not isinstance(data, Mapping) or not data.get("decision"):
            return
        approval_id = str(data.get("approvalId"))
        if approval_id in self._asked:
            self._asked.discard(approval_id)
            answer = {
                "type": "tool-approval-response",
                "approvalId": approval_id,
                "approved": data["decision"] == "allow",
            }
            reason = data.get("reason")
            yield answer | ({"reason": reason} if reason else {})


def steering(part: Chunk) -> dict[str, Any]:
    """Return the steering message, the same as chunk and as part, of a ``data-steer``."""
    data = part.get("data")
    message = data.get("message") if isinstance(data, Mapping) else None
    parts = message.get("parts") if isinstance(message, Mapping) else None
    listed = parts if isinstance(parts, Sequence) and not isinstance(parts, str) else ()
    fit = [each for each in listed if each.get("type") in ("text", "file")]
    return {"type": STEERING, "id": str(part.get("id") or ""), "parts": fit}


def parts_for_version_7(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a stored answer's parts as a client of version 7 has them after reading its stream."""
    return [
        steering(part) if part.get("type") == STEER else part
        for part in parts
        if part.get("type") != RESTARTED
    ]
