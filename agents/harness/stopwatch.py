"""The duration of tool calls and reasoning, added to the chunks that end them.

Adapters have no clock, their runner has one: so durations are added on the way into the journal,
as ``providerMetadata.mesh.tookMs``, and later readers have them too.
"""

from __future__ import annotations

from agents.harness.base import Chunk

_TOOL_ENDS = ("tool-output-available", "tool-output-error")


class Stopwatch:
    """Times the parts of one turn; ``now`` is in seconds, of any monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def timed(self, chunk: Chunk, *, now: float) -> Chunk:
        """Return ``chunk``, with the duration of its part if it ends one."""
        kind = chunk.get("type")
        if kind == "reasoning-start":
            self._since[f"reasoning {chunk.get('id')}"] = now
        elif kind == "tool-input-available":
            # It comes again for a call that ran unasked: the time goes on.
            self._since.setdefault(f"tool {chunk.get('toolCallId')}", now)
        elif kind == "reasoning-end":
            return self._ended(chunk, f"reasoning {chunk.get('id')}", now)
        elif kind in _TOOL_ENDS and not chunk.get("preliminary"):
            return self._ended(chunk, f"tool {chunk.get('toolCallId')}", now)
        return chunk

    def allowed(self, tool_call_id: str, *, now: float) -> None:
        """Restart a call's time: until now it waited for a person."""
        self._since[f"tool {tool_call_id}"] = now

    def _ended(self, chunk: Chunk, part: str, now: float) -> Chunk:
        since = self._since.pop(part, None)
        if since is None:
            return chunk
        metadata = chunk.get("providerMetadata") or {}
        ours = {**metadata.get("mesh", {}), "tookMs": max(round((now - since) * 1000), 0)}
        return {**chunk, "providerMetadata": {**metadata, "mesh": ours}}
