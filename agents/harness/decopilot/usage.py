"""A turn's usage in the AI SDK's terms; the library's counts already cover every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Counts(Protocol):
    """The model library's counts for a run."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_reasoning_tokens: int


def usage_of(counts: Counts) -> dict[str, Any]:
    """Return the usage of a turn. ``input_tokens`` includes tokens read from a cache."""
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


def cost_of(reported: object, listed: object, *, at_provider: bool) -> float | None:
    """Return the cost of one request in US dollars; ``None`` if unknown.

    ``reported`` is the provider's own figure. ``listed`` follows the maker's public prices, which
    apply only if the request went to the maker (``at_provider``): a gateway or a self-hosted
    server has its own prices.
    """
    if isinstance(reported, int | float) and not isinstance(reported, bool):
        return float(reported)
    return float(str(listed)) if at_provider and listed is not None else None


def total_cost(costs: Sequence[float | None]) -> float | None:
    """Return the cost of a turn; ``None`` if the cost of any request is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
