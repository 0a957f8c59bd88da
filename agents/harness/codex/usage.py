"""What a turn used: the tokens of this turn, never the thread's running total."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of

_KEYS = (
    "inputTokens",
    "cachedInputTokens",
    "cacheWriteInputTokens",
    "outputTokens",
    "reasoningOutputTokens",
)


class Meter:
    """Adds up what each answer of the model used."""

    def __init__(self) -> None:
        self._used = dict.fromkeys(_KEYS, 0)
        self._window = 0
        self._has_seen = False

    def add(self, usage: dict[str, Any]) -> None:
        """Add the ``last`` of a ``thread/tokenUsage/updated``."""
        last = object_of(usage, "last")
        self._has_seen = self._has_seen or bool(last)
        for key in _KEYS:
            self._used[key] += _count(last, key)
        self._window = _count(usage, "modelContextWindow") or self._window

    def usage(self) -> dict[str, Any]:
        """Return the turn's usage in the AI SDK's words; empty when nothing was told."""
        if not self._has_seen:
            return {}
        given, read, write, output, thinking = (self._used[key] for key in _KEYS)
        usage: dict[str, Any] = {
            "inputTokens": given,
            "outputTokens": output,
            "totalTokens": given + output,
            "cachedInputTokens": read,
            "inputTokenDetails": {
                "noCacheTokens": max(given - read - write, 0),
                "cacheReadTokens": read,
                "cacheWriteTokens": write,
            },
        }
        if thinking:
            usage["reasoningTokens"] = thinking
        if self._window:
            usage["contextWindow"] = self._window
        return usage


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
