"""What was said before, told again to a program that has lost the conversation."""

from __future__ import annotations

from dataclasses import replace

from agents.harness.base import Json, TurnInput
from agents.harness.lines import text_of

_WHO = {"user": "The person", "assistant": "You"}
_HEAD = (
    "The earlier conversation is lost. This is what was said in it, without tool calls; the "
    "newest message of the person follows."
)


def retold(turn: TurnInput) -> TurnInput:
    """Return ``turn`` as the first of a new conversation: its newest message begins with what
    was said before, as far as the server told."""
    fresh = replace(turn, resume_session_ref=None, forks_session=False)
    said = [f"{_WHO[role]}: {text}" for role, text in map(_line, turn.earlier) if text]
    if not said:
        return fresh
    body = "\n\n".join([_HEAD, *said])
    part = {"type": "text", "text": f"<earlier_conversation>\n{body}\n</earlier_conversation>"}
    newest = turn.last_message
    parts = newest.get("parts")
    message = newest | {"parts": [part, *(parts if isinstance(parts, list) else [])]}
    messages = tuple(message if each is newest else each for each in turn.messages)
    return replace(fresh, messages=messages)


def _line(said: Json) -> tuple[str, str]:
    role = text_of(said, "role")
    return role, text_of(said, "text").strip() if role in _WHO else ""
