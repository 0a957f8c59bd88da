"""The history of a conversation, for a program that has lost it, or must begin afresh."""

from __future__ import annotations

from dataclasses import replace

from agents.harness.base import Json, TurnInput
from agents.harness.lines import text_of

_WHO = {"user": "The person", "assistant": "You"}
_HEAD = (
    "Your record of the earlier conversation is gone. These are its messages, without tool calls;"
    " the newest message of the person follows."
)


def with_history(turn: TurnInput) -> TurnInput:
    """Return ``turn`` as the first of a new conversation: its newest message begins with the
    history that the server sent."""
    fresh = replace(turn, resume_session_ref=None, forks_session=False)
    lines = [f"{_WHO[role]}: {text}" for role, text in map(_line, turn.earlier) if text]
    if not lines:
        return fresh
    body = "\n\n".join([_HEAD, *lines])
    part = {"type": "text", "text": f"<earlier_conversation>\n{body}\n</earlier_conversation>"}
    newest = turn.last_message
    parts = newest.get("parts")
    message = newest | {"parts": [part, *(parts if isinstance(parts, list) else [])]}
    messages = tuple(message if each is newest else each for each in turn.messages)
    return replace(fresh, messages=messages)


def _line(message: Json) -> tuple[str, str]:
    role = text_of(message, "role")
    return role, text_of(message, "text").strip() if role in _WHO else ""
