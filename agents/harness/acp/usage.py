"""A turn's usage, as far as the agent reports it."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of
from agents.harness.usage import count, dollars, usage_of


class Meter:
    """Keeps the running cost of a session, to compute that of a turn."""

    def __init__(self) -> None:
        self._total: float | None = 0.0
        self._before: float | None = 0.0
        self._window = 0

    def resume(self) -> None:
        """Continue an earlier session: its first total does not belong to this turn."""
        self._total = self._before = None

    def begin(self) -> None:
        self._before = self._total

    def update(self, update: dict[str, Any]) -> None:
        """Take a ``usage_update``."""
        self._window = count(update, "size") or self._window
        cost = object_of(update, "cost")
        if (amount := dollars(cost.get("amount"))) is not None and cost.get("currency") == "USD":
            self._total = amount

    def metadata(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return ``usage`` and ``costUsd`` of a turn that ended with ``result``."""
        metadata: dict[str, Any] = {}
        if usage := self._usage(result):
            metadata["usage"] = usage
        if self._total is not None and self._before is not None and self._total > self._before:
            metadata["costUsd"] = round(self._total - self._before, 6)
        return metadata

    def _usage(self, result: dict[str, Any]) -> dict[str, Any]:
        counts = object_of(result, "usage") or _of_gemini(result)
        if not counts:
            return {}
        return usage_of(
            plain=count(counts, "inputTokens"),
            read=count(counts, "cachedReadTokens"),
            write=count(counts, "cachedWriteTokens"),
            output=count(counts, "outputTokens"),
            thinking=count(counts, "thoughtTokens"),
            window=self._window,
        )


def _of_gemini(result: dict[str, Any]) -> dict[str, Any]:
    """Return the counts that Gemini CLI reports in its own field."""
    counts = object_of(object_of(object_of(result, "_meta"), "quota"), "token_count")
    names = {"input_tokens": "inputTokens", "output_tokens": "outputTokens"}
    return {ours: counts[theirs] for theirs, ours in names.items() if theirs in counts}
