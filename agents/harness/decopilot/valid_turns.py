"""Turns that every provider accepts, whatever the history is.

A provider refuses a whole request for one odd entry in it, and as each request repeats the
history, it would refuse every later one. What the providers demand is written down, with its
sources, in ``tests/standin/rules.py``; a property test compares.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from agents.harness.decopilot.memory import Call, Image, Reply, System, Turn, User
from agents.harness.lines import printable

EMPTY: Final = "(empty)"
NO_OUTPUT: Final = "(no output)"
# Of a call, as another provider's model, or a confused one, may have made it up.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)


def valid(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns as every provider accepts them.

    Instructions come first, then a person's message; a person's messages that follow each other
    become one, as do their answers' texts. The last turn is a person's, or has the results of
    calls. No text is blank or contains what UTF-8 can't express, each call has an id of its own.
    """
    ids: dict[str, str] = {}
    found: list[Turn] = []
    for turn in turns:
        match turn:
            case User(content):
                _add_user(found, _content(content))
            case Reply(text, calls):
                _add_reply(found, Reply(_text(text), tuple(_call(each, ids) for each in calls)))
            case System():
                pass
    if not found or (isinstance(last := found[-1], Reply) and not last.calls):
        found.append(User((EMPTY,)))  # no provider continues an answer
    told = (_text(turn.text) for turn in turns if isinstance(turn, System))
    return [*(System(text) for text in told if text), *found]


def _add_user(found: list[Turn], content: tuple[str | Image, ...]) -> None:
    if found and isinstance(last := found[-1], User):
        found[-1] = User((*last.content, *content))
    else:
        found.append(User(content))


def _add_reply(found: list[Turn], reply: Reply) -> None:
    if not found or not (reply.text or reply.calls):
        return  # an answer needs a question
    last = found[-1]
    if isinstance(last, Reply) and not last.calls:
        text = "\n\n".join(filter(None, (last.text, reply.text)))
        found[-1] = Reply(text, reply.calls)
    else:
        found.append(reply)


def _content(content: Iterable[str | Image]) -> tuple[str | Image, ...]:
    kept = [_text(each) if isinstance(each, str) else each for each in content]
    return tuple(each for each in kept if each) or (EMPTY,)


def _text(text: str) -> str:
    """Return the text for a request; empty if it is blank."""
    return printable(text) if text.strip() else ""


def _call(call: Call, ids: dict[str, str]) -> Call:
    """Return the call under an id that no other call of the request has."""
    number = len(ids)
    call_id = call.call_id if _ID.fullmatch(call.call_id) else ""
    if not call_id or call_id in ids:
        digest = hashlib.sha256(f"{number} {call.call_id!r}".encode()).hexdigest()
        call_id = f"call_{digest[:24]}"
    ids[call_id] = call.call_id
    name = call.name
    if not _NAME.fullmatch(name):
        name = f"_{_NOT_IN_NAMES.sub('_', name)}"[:64]
    output = _text(call.output) or NO_OUTPUT
    return replace(call, call_id=call_id, name=name, input=_json(call.input), output=output)


def _json(value: Any) -> Any:
    """Return a JSON value with texts that UTF-8 can express, and with finite numbers."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {printable(str(key)): _json(each) for key, each in value.items()}
    return value
