"""What a turn used, in the AI SDK's words; the library's counts already cover every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Counts(Protocol):
    """What the model library counts of a run."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_reasoning_tokens: int


def usage_of(counts: Counts) -> dict[str, Any]:
    """Return the usage of a turn. ``input_tokens`` holds what was read from a cache, too."""
    read, write = counts.cache_read_tokens, counts.cache_write_tokens
    usage: dict[str, Any] = {
        "inputTokens": counts.input_tokens,
        "outputTokens": counts.output_tokens,
        "totalTokens": counts.input_tokens + counts.output_tokens,
        "cachedInputTokens": read,
        "inputTokenDetails": {
            "noCacheTokens": max(counts.input_tokens - read - write, 0),
            "cacheReadTokens": read,
            "cacheWriteTokens": write,
        },
    }
    if thinking := counts.output_reasoning_tokens:
        usage["reasoningTokens"] = thinking
    return usage


def cost_of(told: object, listed: object, *, at_provider: bool) -> float | None:
    """Return what one request cost, in US dollars; ``None`` when nobody knows.

    ``told`` is what the provider itself has said. ``listed`` is by the maker's public prices,
    which count only where the request went to the maker (``at_provider``): a gateway, or a server
    of one's own, has prices of its own.
    """
    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    return float(str(listed)) if at_provider and listed is not None else None


def total_cost(costs: Sequence[float | None]) -> float | None:
    """Return the cost of a turn; unknown as a whole when that of one request is."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
