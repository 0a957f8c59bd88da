"""A turn's usage, as far as the agent reports it."""

from __future__ import annotations

from typing import Any, Final

from agents.harness.lines import object_of
from agents.harness.usage import count, dollars, usage_of

_NAMES: Final = (
    "inputTokens",
    "cachedReadTokens",
    "cachedWriteTokens",
    "outputTokens",
    "thoughtTokens",
)


class Meter:
    """Keeps the running totals of a session, to compute those of a turn.

    The protocol leaves open whether a response's counts are the turn's. ``is_total``: this agent's
    are the session's, so that a turn's are what they have grown by.
    """

    def __init__(self, *, is_total: bool = False) -> None:
        self._is_total = is_total
        self._counted: dict[str, int] | None = {}
        self._context = 0
        self._total: float | None = 0.0
        self._before: float | None = 0.0
        self._window = 0

    def resume(self) -> None:
        """Continue an earlier session: its first total does not belong to this turn."""
        self._total = self._before = None
        self._counted = None

    def begin(self) -> None:
        self._before = self._total

    def update(self, update: dict[str, Any]) -> None:
        """Take a ``usage_update``."""
        self._window = count(update, "size") or self._window
        self._context = count(update, "used") or self._context
        cost = object_of(update, "cost")
        if (amount := dollars(cost.get("amount"))) is not None and cost.get("currency") == "USD":
            self._total = amount

    def metadata(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return ``usage`` and ``costUsd`` of a turn that ended with ``result``."""
        metadata: dict[str, Any] = {}
        usage = self._usage(result)
        if self._context and self._window:
            usage |= {"contextWindow": self._window, "contextUsed": self._context}
        if usage:
            metadata["usage"] = usage
        if self._total is not None and self._before is not None and self._total > self._before:
            metadata["costUsd"] = round(self._total - self._before, 6)
        return metadata

    def _usage(self, result: dict[str, Any]) -> dict[str, Any]:
        told = object_of(result, "usage") or _of_gemini(result)
        if not told:
            return {}
        counts = {name: count(told, name) for name in _NAMES}
        if self._is_total:
            before, self._counted = self._counted, counts
            if before is None:
                return {}  # how much of it was before this turn is not known
            if all(counts[name] >= before.get(name, 0) for name in _NAMES):
                counts = {name: counts[name] - before.get(name, 0) for name in _NAMES}
            # Else the agent has begun to count anew: all of it is this turn's.
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
