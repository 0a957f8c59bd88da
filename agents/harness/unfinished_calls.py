"""What is said of a tool's call of which nobody has told the end."""

from __future__ import annotations

from typing import Any, Final

INTERRUPTED: Final = (
    "Interrupted: it was under way when the run ended. Whether it was done, or how much of it, is"
    " not known."
)
NOT_RUN: Final = "Not run: the run ended before it came to that."


def unfinished(call: str, *, has_begun: bool, is_dynamic: bool = True) -> dict[str, Any]:
    """Return the chunk that ends the call; ``has_begun``: for all we know. Pages and programs
    find that under ``mesh`` in what the AI SDK keeps with a result."""
    ended = "interrupted" if has_begun else "not_run"
    return {
        "type": "tool-output-error",
        "toolCallId": call,
        "errorText": INTERRUPTED if has_begun else NOT_RUN,
        **({"dynamic": True} if is_dynamic else {}),
        "providerMetadata": {"mesh": {"ended": ended}},
    }
