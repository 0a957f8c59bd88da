"""What a turn used, in the AI SDK's words, whichever way a program tells it."""

from __future__ import annotations

from typing import Any


def usage_of(
    *, plain: int, read: int, write: int, output: int, thinking: int = 0, window: int = 0
) -> dict[str, Any]:
    """Return the usage: ``plain``, ``read`` and ``write`` are the input's tokens that came
    without the provider's cache, out of it, and into it; ``window`` is the model's context."""
    given = plain + read + write
    usage: dict[str, Any] = {
        "inputTokens": given,
        "outputTokens": output,
        "totalTokens": given + output,
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


def count(told: dict[str, Any], key: str) -> int:
    """Return the number of tokens under ``key``; 0 for what is none."""
    value = told.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def dollars(value: Any) -> float | None:
    """Return an amount; ``None`` for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
