"""What the stand-in does, chosen by the person's last text: a list of steps, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HELP = """\
The last user text decides (elsewhere in the text is fine):
  say: TEXT            answers TEXT, word by word
  think                thinks, then answers
  bash: COMMAND        calls the tool Bash, then tells what it gave
  bash twice           calls Bash two times in one message
  as ID1 ID2: A; B     calls Bash for A and for B in one message, under these ids
  … then as ID: C      after that tool calls Bash for C under that id
  many N               calls Bash N times in one message
  write: PATH TEXT     calls the tool Write
  tool: NAME {json}    calls any tool
  … then bash: COMMAND after that tool calls Bash too
  recall               tells the first thing you said
  slow N MS            N pieces of text, MS milliseconds apart
  big N                one piece of N bytes
  stall now            begins, and never goes on
  say nothing          never begins
  cut the line         begins, and drops the connection
  reach the limit      ends for max_tokens
  status N [after S]   refuses with that status, and asks to wait S seconds
  decline now          the model refuses, as long as these words are in the conversation
  decline in the middle  begins, and then the model refuses
  too long             refuses a conversation that is longer than the model takes
Anything else is repeated to you."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    pieces: tuple[str, ...] = ()
    gap: float = 0  # seconds between two pieces


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    input: dict[str, Any]
    call_id: str = ""  # one that the stand-in makes up, if empty


@dataclass(frozen=True, slots=True)
class Stall:
    """Says nothing more, until the other side leaves."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Drops the connection."""


@dataclass(frozen=True, slots=True)
class Refuse:
    status: int
    retry_after: int = 0  # seconds, if any
    is_too_long: bool = False  # each API has words of its own for it
    words: str = ""  # the provider's, if not the usual ones


@dataclass(frozen=True, slots=True)
class Stop:
    """The reason why the model stopped, if not the usual one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Decline:
    """The model, or a filter in front of it, refuses to answer, in each API's own way."""

    words: str = "This request was declined because it could enable cyber harm."


Step = Text | Thinking | Tool | Stall | Cut | Refuse | Stop | Decline

# What people see of a refusal: the provider's own words for it.
REFUSALS = {
    401: ("authentication_error", "invalid x-api-key"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    529: ("overloaded_error", "Overloaded"),
}


def refusal(refused: Refuse, too_long: tuple[str, str]) -> tuple[str, str]:
    """Return kind and message of a refusal; ``too_long`` are those of an API's length limit."""
    if refused.is_too_long:
        return too_long
    if refused.words:
        return "invalid_request_error", refused.words
    return REFUSALS.get(refused.status, ("api_error", f"Status {refused.status}, as told."))


def words(text: str) -> Text:
    return Text(text, tuple(re.findall(r"\s*\S+\s*", text)) or (text,))


def steps_for(texts: list[str], tool_results: list[str]) -> list[Step]:
    """Return the steps of one answer.

    ``texts`` is what the person said, the newest last; ``tool_results`` is what the tools
    gave since, if the model is asked to go on after them.
    """
    if tool_results and not any("decline now" in text for text in texts):
        # What is to be done after the tool, if that was said.
        if texts and len(tool_results) == 1 and (then := _THEN.search(texts[-1])):
            return [_bash(then[1])]
        if texts and len(tool_results) == 1 and (then := _THEN_AS.search(texts[-1])):
            return _under_ids(then[1], then[2])
        return [words("The tool said: " + " | ".join(result[:2000] for result in tool_results))]
    said = texts[-1] if texts else ""
    if any("decline now" in text for text in texts):  # what was refused once is refused again
        return [Decline()]
    for pattern, make in _SCRIPTS:
        if found := pattern.search(said):
            return make(found, texts)
    return [words(f"You said: {said[:500]}")]


def _bash(command: str, call_id: str = "") -> Tool:
    return Tool("Bash", {"command": command, "description": "As told"}, call_id)


def _under_ids(ids: str, commands: str) -> list[Step]:
    return [
        _bash(command.strip(), call_id)
        for call_id, command in zip(ids.split(), commands.split(";"), strict=True)
    ]


_THEN = re.compile(r"\bthen bash: (.+)", re.DOTALL)
_THEN_AS = re.compile(r"\bthen as (\S+): (.+)", re.DOTALL)


def _numbers(length: int) -> str:
    """Return a text that repeats nothing: Gemini CLI gives up on a model that seems to loop."""
    return " ".join(map(str, range(10_000, 10_000 + length // 6 + 1)))[:length]


Maker = Callable[["re.Match[str]", list[str]], list[Step]]

_SCRIPTS: list[tuple[re.Pattern[str], Maker]] = [
    (re.compile(pattern, re.DOTALL), make)
    for pattern, make in (
        # What Claude Code asks when it shortens a conversation.
        (r"\bdetailed summary of the conversation", lambda m, t: [words("They said hello.")]),
        (r"\btoo long\b", lambda m, t: [Refuse(400, is_too_long=True)]),
        (
            r"\bstatus (\d+)(?: after (\d+))?",
            lambda m, t: [Refuse(int(m[1]), int(m[2] or 0))],
        ),
        (r"\btool: (\w+) (\{.*\})", lambda m, t: [Tool(m[1], json.loads(m[2]))]),
        (r"\bsay: (.+)", lambda m, t: [words(m[1])]),
        (
            r"\bbash: (.+)",
            lambda m, t: [words("I run it."), _bash(m[1])],
        ),
        (
            r"\bwrite: (\S+) (.+)",
            lambda m, t: [
                words("I write it."),
                Tool("Write", {"file_path": m[1], "content": m[2]}),
            ],
        ),
        (r"\bbash twice", lambda m, t: [_bash("echo one"), _bash("echo two")]),
        (
            r"\bas ([^:]+): (.+?)(?: then as |$)",
            lambda m, t: _under_ids(m[1], m[2]),
        ),
        (r"\bmany (\d+)", lambda m, t: [_bash(f"echo {n}") for n in range(int(m[1]))]),
        (
            r"\bslow (\d+) (\d+)",
            lambda m, t: [
                Text("", tuple(f"{n} " for n in range(1, int(m[1]) + 1)), int(m[2]) / 1000)
            ],
        ),
        (r"\bbig (\d+)", lambda m, t: [Text("", (_numbers(int(m[1])),))]),
        (r"\bsay nothing\b", lambda m, t: [Stall()]),
        (r"\bstall now\b", lambda m, t: [words("I begin"), Stall()]),
        (r"\bcut the line\b", lambda m, t: [words("I begin"), Cut()]),
        (r"\bdecline in the middle\b", lambda m, t: [words("I begin"), Decline()]),
        (r"\breach the limit\b", lambda m, t: [words("There is no room"), Stop("max_tokens")]),
        (r"\brecall\b", lambda m, t: [words(f"First you said: {t[0]}")]),
        (
            r"\bthink\b",
            lambda m, t: [Thinking("I wonder what this is about."), words("I thought about it.")],
        ),
    )
]
