"""The error of a tool call whose end was never reported, or whose question was taken back."""

from __future__ import annotations

from typing import Any, Final

INTERRUPTED: Final = (
    "Interrupted: the run ended while this was in progress. It is not known how much of it was"
    " done."
)
NOT_RUN: Final = "Not run: the run ended first."
WITHDRAWN: Final = "Not run: the agent took its question back before it was answered."


def unfinished(call: str, *, has_begun: bool, is_dynamic: bool = True) -> dict[str, Any]:
    """Return the chunk that ends the call; ``has_begun``: it may have run. Pages and programs
    find that under ``mesh`` in the result's provider metadata."""
    ended = "interrupted" if has_begun else "not_run"
    return {
        "type": "tool-output-error",
        "toolCallId": call,
        "errorText": INTERRUPTED if has_begun else NOT_RUN,
        **({"dynamic": True} if is_dynamic else {}),
        "providerMetadata": {"mesh": {"ended": ended}},
    }


def withdrawn(call: str) -> dict[str, Any]:
    """Return the chunk that ends a call about which its agent asks no more, and of which it has
    told nothing since."""
    return {
        "type": "tool-output-error",
        "toolCallId": call,
        "errorText": WITHDRAWN,
        "dynamic": True,
        "providerMetadata": {"mesh": {"ended": "withdrawn"}},
    }
