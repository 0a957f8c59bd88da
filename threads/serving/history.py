"""The messages of a thread before a run, for a harness that has lost its own record of them."""

from __future__ import annotations

from typing import Any, Final

from threads.models import Message, Run

MAX_MESSAGES: Final = 30
MAX_TEXT: Final = 4_000  # characters of one message
MAX_TOTAL: Final = 24_000  # characters of all messages


def earlier_messages(run: Run) -> list[dict[str, Any]]:
    """Return the newest messages before the run's, the oldest first, as role and text.

    One query; none for a thread whose harness has no session yet.
    """
    if not run.thread.session_ref:
        return []
    before = Message.objects.filter(thread=run.thread_id, seq__lt=run.prompt.seq)
    found: list[dict[str, Any]] = []
    left = MAX_TOTAL
    for role, parts in before.order_by("-seq").values_list("role", "parts")[:MAX_MESSAGES]:
        text = _text(parts)[:MAX_TEXT]
        left -= len(text)
        if left < 0:
            break
        if text:
            found.append({"role": role, "text": text})
    return found[::-1]


def _text(parts: list[dict[str, Any]]) -> str:
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    return "\n\n".join(text for text in texts if isinstance(text, str)).strip()
