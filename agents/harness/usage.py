"""A turn's usage in the AI SDK's terms, from any program's counts."""

from __future__ import annotations

from typing import Any


def usage_of(
    *, plain: int, read: int, write: int, output: int, thinking: int = 0, window: int = 0
) -> dict[str, Any]:
    """Return the usage: ``plain``, ``read`` and ``write`` are the input tokens outside the
    provider's cache, read from it, and written to it; ``window`` is the model's context."""
    total_input = plain + read + write
    usage: dict[str, Any] = {
        "inputTokens": total_input,
        "outputTokens": output,
        "totalTokens": total_input + output,
        "cachedInputTokens": read,
        "inputTokenDetails": {
            "noCacheTokens": plain,
            "cacheReadTokens": read,
            "cacheWriteTokens": write,
        },
    }
    if thinking:
        usage["reasoningTokens"] = thinking
    if window:
        usage["contextWindow"] = window
    return usage


def count(counts: dict[str, Any], key: str) -> int:
    """Return the number of tokens under ``key``; 0 if it is not a positive number."""
    value = counts.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def dollars(value: Any) -> float | None:
    """Return an amount; ``None`` if ``value`` is not a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
