"""What a turn used: tokens and cost of this turn, never the program's running total."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


class Meter:
    """Adds up the steps of a turn, for the turns whose result has no usage."""

    def __init__(self) -> None:
        self._total_cost = 0.0
        self._steps: dict[str, int] = {}

    def begin(self) -> None:
        self._steps = {}

    def step(self, usage: dict[str, Any]) -> None:
        """Add what one answer of the model used."""
        for key in _KEYS:
            self._steps[key] = self._steps.get(key, 0) + _count(usage, key)

    def usage(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the turn's usage in the AI SDK's words; an interrupted turn has zeros in
        its result, so the steps count then."""
        given = object_of(result, "usage")
        if not any(_count(given, key) for key in _KEYS):
            given = self._steps
        plain, read, write, output = (_count(given, key) for key in _KEYS)
        thinking = _count(object_of(given, "output_tokens_details"), "thinking_tokens")
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
        if thinking:
            usage["reasoningTokens"] = thinking
        if window := _context_window(result):
            usage["contextWindow"] = window
        return usage

    def cost(self, result: dict[str, Any]) -> float | None:
        """Return what the turn cost in US dollars: the total's growth since the last turn."""
        total = result.get("total_cost_usd")
        if isinstance(total, bool) or not isinstance(total, int | float):
            return None
        cost, self._total_cost = total - self._total_cost, float(total)
        return round(max(cost, 0), 6)


_KEYS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


def _context_window(result: dict[str, Any]) -> int:
    models = object_of(result, "modelUsage").values()
    return max((_count(m, "contextWindow") for m in models if isinstance(m, dict)), default=0)
