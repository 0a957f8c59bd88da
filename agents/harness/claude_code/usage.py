"""A turn's usage: tokens and cost of this turn, never the program's running total."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of
from agents.harness.usage import count, dollars, usage_of


class Meter:
    """Adds up the steps of a turn, for turns whose result has no usage."""

    def __init__(self, *, is_resumed: bool = False) -> None:
        # A program that resumes a conversation continues that conversation's total.
        self._total_cost: float | None = None if is_resumed else 0.0
        self._steps: dict[str, int] = {}
        self._context = 0  # tokens of the last response and of all that was before it

    def begin(self) -> None:
        self._steps, self._context = {}, 0

    def step(self, usage: dict[str, Any]) -> None:
        """Add the usage of one response of the model."""
        self._context = sum(count(usage, key) for key in _KEYS) or self._context
        for key in _KEYS:
            self._steps[key] = self._steps.get(key, 0) + count(usage, key)

    def metadata(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return ``usage`` and ``costUsd`` of a turn that ended with ``result``."""
        metadata: dict[str, Any] = {"usage": self.usage(result)}
        if (cost := self.cost(result)) is not None:
            metadata["costUsd"] = cost
        return metadata

    def usage(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the turn's usage in the AI SDK's terms; an interrupted turn has zeros in its
        result, so the steps count then."""
        counts = object_of(result, "usage")
        if not any(count(counts, key) for key in _KEYS):
            counts = self._steps
        plain, read, write, output = (count(counts, key) for key in _KEYS)
        thinking = count(object_of(counts, "output_tokens_details"), "thinking_tokens")
        used = {"contextUsed": self._context} if self._context else {}
        return used | usage_of(
            plain=plain,
            read=read,
            write=write,
            output=output,
            thinking=thinking,
            window=_context_window(result),
        )

    def cost(self, result: dict[str, Any]) -> float | None:
        """Return the turn's cost in US dollars; ``None`` if it is unknown.

        ``total_cost_usd`` is a running total. Newer programs report the increase; for others it is
        computed from two totals.
        """
        total, before = dollars(result.get("total_cost_usd")), self._total_cost
        if total is not None:
            self._total_cost = total
        added = object_of(result, "model_usage_since_last_result").values()
        costs = [dollars(model.get("costUSD")) for model in added if isinstance(model, dict)]
        if costs and None not in costs:
            return round(sum(cost or 0 for cost in costs), 6)
        if total is None or before is None:
            return None
        return round(max(total - before, 0), 6)


_KEYS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


def _context_window(result: dict[str, Any]) -> int:
    models = object_of(result, "modelUsage").values()
    return max((count(m, "contextWindow") for m in models if isinstance(m, dict)), default=0)
