"""The commands of an agent's program, and messages that only look like one.

A program takes a message that begins with "/" for a command, and answers one that it does not
know itself, or not at all. Only what it has announced is sent as a command; everything else is the
person's words, for the model.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from agents.harness.base import Json, TurnInput, parts_of, words_of
from agents.harness.lines import object_of, text_of

SLASH = "/"
# What a person can choose from: more is of no use on a page, and a program could send anything.
MOST = 200
LONGEST = 500
_NAME = re.compile(r"/[A-Za-z0-9_.:-]*(?=\s|$)", re.ASCII)

Command = dict[str, str]


def commands_in(listed: list[dict[str, Any]]) -> list[Command]:
    """Return the commands that a program lists, each with a name, a description and a hint."""
    found = (_command(each) for each in listed[:MOST])
    return [command for command in found if command]


def _command(value: dict[str, Any]) -> Command | None:
    name = " ".join(text_of(value, "name").removeprefix(SLASH).split())[:LONGEST]
    if not name or name.startswith("__"):  # of the program's own
        return None
    hint = text_of(object_of(value, "input"), "hint") or text_of(value, "argumentHint")
    description = text_of(value, "description")[:LONGEST]
    return {"name": name, "description": description, "hint": hint[:LONGEST]}


def names_in(listed: list[dict[str, Any]]) -> frozenset[str]:
    """Return the names by which a program knows the commands that it lists."""
    names = {text_of(each, "name").removeprefix(SLASH) for each in listed}
    for each in listed:
        aliases = each.get("aliases")
        if isinstance(aliases, list):
            names |= {alias for alias in aliases if isinstance(alias, str)}
    return frozenset(names - {""})


def looks_like_command(text: str) -> bool:
    """Return whether a program may take the text for a command."""
    return text.lstrip().startswith(SLASH)


def may_be_command(text: str) -> bool:
    """Return whether the text could be a command of a program that has announced none yet: it
    begins with a name, and not with a path."""
    return _NAME.match(text) is not None


def is_command(text: str, names: Collection[str]) -> bool:
    """Return whether the text is one of the commands, with or without arguments."""
    if not text.startswith(SLASH):
        return False
    words = text[1:].split()
    # Some have a name of two words, such as "memory show".
    return any(" ".join(words[: count + 1]) in names for count in range(min(len(words), 3)))


def as_words(turn: TurnInput) -> TurnInput:
    """Return the turn with its newest message marked as one, so that no program takes it for a
    command."""
    newest = turn.last_message
    parts = [*parts_of(newest)]
    for index, part in enumerate(parts):
        if part.get("type") == "text" and isinstance(text := part.get("text"), str) and text:
            parts[index] = part | {"text": f"<message>\n{text}\n</message>"}
            break
    message: Json = newest | {"parts": parts}
    messages = tuple(message if each is newest else each for each in turn.messages)
    return replace(turn, messages=messages)


def spoken(turn: TurnInput, names: Collection[str]) -> TurnInput:
    """Return the turn as it is sent to a program that has announced these commands."""
    text = words_of(turn.last_message)
    return as_words(turn) if looks_like_command(text) and not is_command(text, names) else turn


def said_nothing(text: str) -> str:
    """Return why a turn ended without a word, as far as the message explains it; else empty."""
    if not text.startswith(SLASH):
        return ""
    name = text.split(maxsplit=1)[0]
    return f"{name} is a command of the agent, which it carried out without a word."
