"""What a turn used, as far as the agent tells."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of


class Meter:
    """Keeps the running cost of a session, to tell that of a turn."""

    def __init__(self) -> None:
        self._total: float | None = 0.0
        self._before: float | None = 0.0
        self._window = 0

    def resume(self) -> None:
        """The session goes on from before: its first total is not this turn's."""
        self._total = self._before = None

    def begin(self) -> None:
        self._before = self._total

    def update(self, update: dict[str, Any]) -> None:
        """Take a ``usage_update``."""
        self._window = _count(update, "size") or self._window
        cost = object_of(update, "cost")
        if (amount := _number(cost.get("amount"))) is not None and cost.get("currency") == "USD":
            self._total = amount

    def told(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return ``usage`` and ``costUsd`` of a turn that ended with ``result``."""
        told: dict[str, Any] = {}
        if usage := self._usage(result):
            told["usage"] = usage
        if self._total is not None and self._before is not None and self._total > self._before:
            told["costUsd"] = round(self._total - self._before, 6)
        return told

    def _usage(self, result: dict[str, Any]) -> dict[str, Any]:
        given = object_of(result, "usage") or _of_gemini(result)
        if not given:
            return {}
        plain, output = _count(given, "inputTokens"), _count(given, "outputTokens")
        read, write = _count(given, "cachedReadTokens"), _count(given, "cachedWriteTokens")
        usage: dict[str, Any] = {
            "inputTokens": plain + read + write,
            "outputTokens": output,
            "totalTokens": plain + read + write + output,
            "cachedInputTokens": read,
            "inputTokenDetails": {
                "noCacheTokens": plain,
                "cacheReadTokens": read,
                "cacheWriteTokens": write,
            },
        }
        if thinking := _count(given, "thoughtTokens"):
            usage["reasoningTokens"] = thinking
        if self._window:
            usage["contextWindow"] = self._window
        return usage


def _of_gemini(result: dict[str, Any]) -> dict[str, Any]:
    """Return what Gemini CLI tells in a place of its own."""
    counts = object_of(object_of(object_of(result, "_meta"), "quota"), "token_count")
    names = {"input_tokens": "inputTokens", "output_tokens": "outputTokens"}
    return {ours: counts[theirs] for theirs, ours in names.items() if theirs in counts}


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
