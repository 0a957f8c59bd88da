"""The open parts of a turn's message, and the chunks that close them.

An adapter closes its own message. This is for when it can't: the program could not be started,
the adapter failed, or the whole sandbox died.
"""

from __future__ import annotations

from typing import Any, Literal

from agents.harness.unfinished_calls import unfinished

Chunk = dict[str, Any]

_OPENERS = {"text-start": "text-end", "reasoning-start": "reasoning-end"}
_TOOL_ENDS = ("tool-output-available", "tool-output-error", "tool-output-denied")


class Outline:
    """Follows the chunks of one turn."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._is_started = self._is_finished = self._is_in_step = False
        self._has_ending = False  # there was an error or abort chunk
        self._parts: dict[tuple[str, str], None] = {}  # (closing type, id), in order
        self._tools: dict[str, bool] = {}  # call → whether it may have started
        self._asked: dict[str, str] = {}  # approval id → the call it is about

    def see(self, chunk: Chunk) -> None:
        """Follow one chunk that was put into the journal."""
        kind = chunk.get("type", "")
        if kind.endswith("-delta"):
            return
        if kind in _OPENERS:
            self._parts[_OPENERS[kind], chunk.get("id", "")] = None
        elif kind in _OPENERS.values():
            self._parts.pop((kind, chunk.get("id", "")), None)
        elif kind in ("tool-input-start", "tool-input-available"):
            self._tools[chunk.get("toolCallId", "")] = kind == "tool-input-available"
        elif kind == "tool-approval-request":
            call = self._asked[chunk.get("approvalId", "")] = chunk.get("toolCallId", "")
            if call in self._tools:
                self._tools[call] = False
        elif kind in _TOOL_ENDS and not chunk.get("preliminary"):
            self._tools.pop(chunk.get("toolCallId", ""), None)
        elif kind in ("start-step", "finish-step"):
            self._is_in_step = kind == "start-step"
        elif kind in ("error", "abort"):
            self._has_ending = True
        self._is_started |= kind == "start"
        self._is_finished |= kind == "finish"

    def see_applied(self, approval_id: str, decision: str) -> None:
        """Follow that the program gets a person's answer: from then on the call may start."""
        call = self._asked.get(approval_id)
        if call in self._tools:
            self._tools[call] = decision == "allow"

    def closing(self, how: Literal["error", "abort"], text: str) -> list[Chunk]:
        """Return the chunks that complete the turn's message; none if it is complete."""
        if self._is_finished:
            return []
        chunks: list[Chunk] = []
        if not self._is_started:
            chunks.append({"type": "start", "messageId": self._run_id})
        chunks += [{"type": kind, "id": part_id} for kind, part_id in self._parts]
        chunks += [unfinished(call, has_begun=has_begun) for call, has_begun in self._tools.items()]
        if self._is_in_step:
            chunks.append({"type": "finish-step"})
        if not self._has_ending:
            chunks.append({"type": "abort"} if how == "abort" else _error(text))
        chunks.append({"type": "finish"} if how == "abort" else _FINISH_ERROR)
        return chunks


_FINISH_ERROR: Chunk = {"type": "finish", "finishReason": "error"}


def _error(text: str) -> Chunk:
    return {"type": "error", "errorText": text}
