"""From the messages of a thread to what a model is told of them (D-HN3 to D-HN8).

Own classes in between, because those of the model library take seconds to load.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agents.harness.base import Json, parts_of
from agents.harness.files import as_text, media_type_of, read_data_url

OUTPUT_LIMIT: Final = 20_000  # characters of one old tool output
MEMORY_LIMIT: Final = 600_000  # characters of everything: the oldest turns go first
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
SETTLED: Final = ("output-available", "output-error", "output-denied")
DENIED: Final = "The person did not allow this."


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the person attached."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class System:
    text: str


@dataclass(frozen=True, slots=True)
class User:
    content: tuple[str | Image, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call with its end: ``outcome`` is ``success``, ``failed`` or ``denied``."""

    call_id: str
    name: str
    input: Json
    output: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model: its text and its calls, which all have their results."""

    text: str
    calls: tuple[Call, ...] = ()


Turn = System | User | Reply


def turns_of(messages: Iterable[Json]) -> list[Turn]:
    """Return what was said, in order; a tool call without its end is left out (D-HN5)."""
    turns: list[Turn] = []
    for message in messages:
        role = message.get("role")
        if role == "system" and (text := text_of(message)):
            turns.append(System(text))
        elif role == "user" and (content := _content(message)):
            turns.append(User(content))
        elif role == "assistant":
            turns += replies_of(parts_of(message))
    return turns


def text_of(message: Json) -> str:
    """Return the text parts joined by line feeds (D-HN8); empty without any."""
    texts = (part.get("text") for part in parts_of(message) if part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))


def _content(message: Json) -> tuple[str | Image, ...]:
    content: list[str | Image] = [text] if (text := text_of(message)) else []
    for part in parts_of(message):
        if part.get("type") != "file":
            continue
        kind, data = media_type_of(part), read_data_url(str(part.get("url", "")))
        content.append(Image(kind, data) if kind in IMAGES and data else as_text(part))
    return tuple(content)


def replies_of(parts: Iterable[Json]) -> list[Reply]:
    """Return an answer's parts as the answers of the model they were: one for each step."""
    replies: list[Reply] = []
    text: list[str] = []
    calls: list[Call] = []

    def close() -> None:
        if text or calls:
            replies.append(Reply("\n\n".join(text), tuple(calls)))
        text.clear()
        calls.clear()

    for part in parts:
        kind = part.get("type")
        if kind == "step-start":
            close()
        elif kind == "text" and isinstance(part.get("text"), str) and part["text"].strip():
            text.append(part["text"])
        elif (call := call_of(part)) is not None:
            calls.append(call)
    close()
    return replies


def call_of(part: Json) -> Call | None:
    """Return the tool call of a part; ``None`` when it is none, or has no end."""
    kind, state = str(part.get("type")), part.get("state")
    name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    call_id = part.get("toolCallId")
    if not (
        _is_call(part) and state in SETTLED and isinstance(call_id, str) and isinstance(name, str)
    ):
        return None
    given = part.get("input")
    output, outcome = _ending(part, str(state))
    return Call(call_id, name, given if isinstance(given, dict) else {}, output, outcome)


def _ending(part: Json, state: str) -> tuple[str, str]:
    if state == "output-denied":
        approval = part.get("approval")
        reason = approval.get("reason") if isinstance(approval, dict) else None
        return (f"{DENIED} {reason}" if isinstance(reason, str) and reason else DENIED), "denied"
    if state == "output-error":
        return cut(str(part.get("errorText", ""))), "failed"
    output = part.get("output")
    return cut(output if isinstance(output, str) else json.dumps(output)), "success"


def cut(text: str, limit: int = OUTPUT_LIMIT) -> str:
    """Return ``text``, with its middle left out when it is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def settled(parts: Iterable[Json]) -> list[Json]:
    """Return the parts of the steps that were done when an attempt was lost.

    Those are the first ones that called tools and have the end of every call. What came behind
    is said anew: half an answer, or a question that nobody waits for any more.
    """
    steps: list[list[Json]] = []
    for part in parts:
        if part.get("type") == "step-start" or not steps:
            steps.append([])
        steps[-1].append(part)
    done: list[Json] = []
    for step in steps:
        calls = [part for part in step if _is_call(part)]
        if not calls or any(call_of(call) is None for call in calls):
            break
        done += step
    return done


def _is_call(part: Json) -> bool:
    kind = str(part.get("type"))
    return kind == "dynamic-tool" or kind.startswith("tool-")


def fit(turns: Sequence[Turn], limit: int = MEMORY_LIMIT) -> list[Turn]:
    """Return the turns without the oldest ones that are too much; never without the last of
    the person's, and never beginning with an answer to nothing."""
    size = sum(_size(turn) for turn in turns)
    kept = list(turns)
    while size > limit:
        starts = [i for i, turn in enumerate(kept) if isinstance(turn, User)]
        if len(starts) < 2:
            break
        gone = [turn for turn in kept[: starts[1]] if not isinstance(turn, System)]
        size -= sum(_size(turn) for turn in gone)
        kept = [turn for turn in kept[: starts[1]] if isinstance(turn, System)] + kept[starts[1] :]
    return kept


def _size(turn: Turn) -> int:
    match turn:
        case System(text):
            return len(text)
        case User(content):
            return sum(len(each) if isinstance(each, str) else 4_000 for each in content)
        case Reply(text, calls):
            return len(text) + sum(len(str(call.input)) + len(call.output) for call in calls)
