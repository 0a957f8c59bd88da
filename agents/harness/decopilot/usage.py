"""What a turn used, in the AI SDK's words; the library's counts already cover every step."""

from __future__ import annotations

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
