"""A turn's usage: the tokens of this turn, never the thread's running total."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import object_of
from agents.harness.usage import count, usage_of

_KEYS = (
    "inputTokens",
    "cachedInputTokens",
    "cacheWriteInputTokens",
    "outputTokens",
    "reasoningOutputTokens",
)


class Meter:
    """Adds up the usage of the model's responses."""

    def __init__(self) -> None:
        self._used = dict.fromkeys(_KEYS, 0)
        self._window = 0
        self._has_seen = False

    def add(self, usage: dict[str, Any]) -> None:
        """Add the ``last`` of a ``thread/tokenUsage/updated``."""
        last = object_of(usage, "last")
        self._has_seen = self._has_seen or bool(last)
        for key in _KEYS:
            self._used[key] += count(last, key)
        self._window = count(usage, "modelContextWindow") or self._window

    def usage(self) -> dict[str, Any]:
        """Return the turn's usage in the AI SDK's terms; empty if none was reported."""
        if not self._has_seen:
            return {}
        total_input, read, write, output, thinking = (self._used[key] for key in _KEYS)
        # Codex counts cached tokens as input tokens, too.
        plain = max(total_input - read - write, 0)
        return usage_of(
            plain=plain,
            read=read,
            write=write,
            output=output,
            thinking=thinking,
            window=self._window,
        )
