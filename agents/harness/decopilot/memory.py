"""The conversion of a thread's messages to a model's history (D-HN3 to D-HN8).

It has its own classes, because those of the model library take seconds to import.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agents.harness.base import Json, parts_of
from agents.harness.files import as_text, media_type_of, name_of, read_data_url
from agents.harness.questions import PLAN_READY

OUTPUT_LIMIT: Final = 20_000  # characters of one old tool output
MEMORY_LIMIT: Final = 600_000  # characters in total: the oldest turns are dropped first
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
SETTLED: Final = ("output-available", "output-error", "output-denied")
DENIED: Final = "The person did not allow this."
# Instead of a file that the model's provider has refused, and of one that can't be read.
REFUSED_FILE: Final = "[{} is left out: the model's provider refused it]"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the person attached, or that a tool returned. ``file_id`` is that of the
    stored file; empty for a tool's."""

    media_type: str
    data: bytes
    name: str = "a picture"
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class System:
    text: str


@dataclass(frozen=True, slots=True)
class User:
    content: tuple[str | Image, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An ended tool call: ``outcome`` is ``success``, ``failed`` or ``denied``."""

    call_id: str
    name: str
    input: Json
    output: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One response of the model: its text and its calls, which all have results."""

    text: str
    calls: tuple[Call, ...] = ()


Turn = System | User | Reply


def turns_of(messages: Iterable[Json], *, without: Collection[str] = ()) -> list[Turn]:
    """Return the turns in order; a tool call that has not ended is left out (D-HN5).

    ``without`` are the ids of files of which only the name is told.
    """
    turns: list[Turn] = []
    for message in messages:
        role = message.get("role")
        if role == "system" and (text := text_of(message)):
            turns.append(System(text))
        elif role == "user" and (content := _content(message, without)):
            turns.append(User(content))
        elif role == "assistant":
            turns += replies_of(parts_of(message))
    return turns


def text_of(message: Json) -> str:
    """Return the text parts joined by line feeds (D-HN8); empty without any."""
    texts = (part.get("text") for part in parts_of(message) if part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))


def _content(message: Json, without: Collection[str]) -> tuple[str | Image, ...]:
    content: list[str | Image] = [text] if (text := text_of(message)) else []
    files = (part for part in parts_of(message) if part.get("type") == "file")
    return (*content, *(_file(part, without) for part in files))


def _file(part: Json, without: Collection[str]) -> str | Image:
    file_id = str(part.get("id", ""))
    if file_id and file_id in without:
        return REFUSED_FILE.format(name_of(part))
    kind, data = media_type_of(part), read_data_url(str(part.get("url", "")))
    if kind in IMAGES and data:
        return Image(kind, data, name_of(part), file_id)
    return as_text(part)


def replies_of(parts: Iterable[Json]) -> list[Reply]:
    """Split an answer's parts into the model's responses: one for each step."""
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
    """Return the tool call of a part; ``None`` if the part is not one, or it has not ended."""
    state, name = part.get("state"), _tool_of(part)
    call_id = part.get("toolCallId")
    if not (
        _is_call(part) and state in SETTLED and isinstance(call_id, str) and isinstance(name, str)
    ):
        return None
    value = part.get("input")
    output, outcome = _ending(part, str(state))
    return Call(call_id, name, value if isinstance(value, dict) else {}, output, outcome)


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
    """Return ``text``, without its middle if it is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A tool call whose input is complete, and that has not ended."""

    call_id: str
    name: str
    input: Json


def begun_call_of(part: Json) -> BegunCall | None:
    """Return the call of a part that may have been carried out without its end being known."""
    call_id, name = part.get("toolCallId"), _tool_of(part)
    is_begun = _is_call(part) and part.get("state") not in (*SETTLED, "input-streaming")
    if not (is_begun and isinstance(call_id, str) and isinstance(name, str)):
        return None
    value = part.get("input")
    return BegunCall(call_id, name, value if isinstance(value, dict) else {})


@dataclass(frozen=True, slots=True)
class Lost:
    """What a lost attempt leaves to the next one, as parts of the answer.

    ``settled`` are the leading steps that called tools and whose calls have all ended; ``begun``
    is the step after them, if it has calls that were made and have not ended. The next attempt
    repeats what is in neither: a partial answer.
    """

    settled: tuple[Json, ...] = ()
    begun: tuple[Json, ...] = ()

    @property
    def parts(self) -> tuple[Json, ...]:
        return self.settled + self.begun


def lost_of(parts: Iterable[Json]) -> Lost:
    """Return what can be taken over from an attempt whose answer has these parts."""
    settled: tuple[Json, ...] = ()
    for step in _steps_of(parts):
        calls = [part for part in step if _is_call(part)]
        if not calls:
            break
        if any(call_of(call) is None for call in calls):
            # A call whose input was still being written was not made.
            made = tuple(part for part in step if not _is_call(part) or _is_made(part))
            return Lost(settled, made if any(map(_is_made, made)) else ())
        settled += tuple(step)
    return Lost(settled)


def has_agreed_to_plan(parts: Iterable[Json]) -> bool:
    """Return whether the person has agreed to a plan in these parts of an answer."""
    calls = [call for part in parts if (call := call_of(part)) is not None]
    return any(call.name == PLAN_READY and call.outcome == "success" for call in calls)


def _is_made(part: Json) -> bool:
    return (call_of(part) or begun_call_of(part)) is not None


def _steps_of(parts: Iterable[Json]) -> list[list[Json]]:
    steps: list[list[Json]] = []
    for part in parts:
        if part.get("type") == "step-start" or not steps:
            steps.append([])
        steps[-1].append(part)
    return steps


def _tool_of(part: Json) -> object:
    kind = str(part.get("type"))
    return part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")


def _is_call(part: Json) -> bool:
    kind = str(part.get("type"))
    return kind == "dynamic-tool" or kind.startswith("tool-")


def fit(turns: Sequence[Turn], limit: int = MEMORY_LIMIT) -> list[Turn]:
    """Return the turns without the oldest ones beyond ``limit``. The person's last message always
    stays, and the first turn is never an answer without its question."""
    size = sum(_size(turn) for turn in turns)
    kept = list(turns)
    while size > limit:
        starts = [i for i, turn in enumerate(kept) if isinstance(turn, User)]
        if len(starts) < 2:
            break
        dropped = [turn for turn in kept[: starts[1]] if not isinstance(turn, System)]
        size -= sum(_size(turn) for turn in dropped)
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
