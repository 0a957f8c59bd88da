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
    """Measures turns by the growth of the thread's total: Codex tells the usage of its last
    response again when it compacts a conversation."""

    def __init__(self) -> None:
        self._total: dict[str, int] | None = None  # unknown in a thread that was resumed
        self.begin()

    def begin(self) -> None:
        """Start a turn."""
        self._used = dict.fromkeys(_KEYS, 0)
        self._window = self._context = 0
        self._has_seen = False

    def forget(self) -> None:
        """Forget the total: the turn continues in another thread, or another program."""
        self._total = None

    def note(self, usage: dict[str, Any]) -> None:
        """Take the usage of an earlier turn, from which this one grows."""
        if total := object_of(usage, "total"):
            self._total = _counts(total)

    def add(self, usage: dict[str, Any]) -> None:
        """Take a ``thread/tokenUsage/updated`` of this turn."""
        last = _counts(object_of(usage, "last"))
        self._has_seen = self._has_seen or bool(object_of(usage, "last"))
        if total := object_of(usage, "total"):
            now = _counts(total)
            before = self._total or {key: now[key] - last[key] for key in _KEYS}
            grown = {key: max(now[key] - before[key], 0) for key in _KEYS}
            self._total = now
        else:
            grown = last
        for key in _KEYS:
            self._used[key] += grown[key]
        self._context = count(object_of(usage, "last"), "totalTokens") or self._context
        self._window = count(usage, "modelContextWindow") or self._window

    def usage(self) -> dict[str, Any]:
        """Return the turn's usage in the AI SDK's terms; empty if none was reported."""
        if not self._has_seen:
            return {}
        total_input, read, write, output, thinking = (self._used[key] for key in _KEYS)
        # Codex counts cached tokens as input tokens, too.
        plain = max(total_input - read - write, 0)
        usage = usage_of(
            plain=plain,
            read=read,
            write=write,
            output=output,
            thinking=thinking,
            window=self._window,
        )
        return usage | ({"contextUsed": self._context} if self._context else {})


def _counts(counts: dict[str, Any]) -> dict[str, int]:
    return {key: count(counts, key) for key in _KEYS}
