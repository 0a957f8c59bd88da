"""Parsing of incomplete JSON: a tool's input while the model streams it."""

from __future__ import annotations

import json
import re
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER_PREFIX = re.compile(r"-?\d*\.?\d*(?:[eE][+-]?\d*)?\Z")
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_ESCAPE_CUT = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z")
_MISSING = object()


class _Broken(Exception):
    """The text is not a prefix of JSON."""


def parse(text: str) -> Any:
    """Return the value of ``text``, a prefix of JSON, as far as it goes; ``None`` if nothing.

    A string that is cut counts as far as it goes, and a partial ``tru`` as ``true``; a key
    without its value, and a number without a digit, are left out.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        value, _ = _value(text, 0)
    except (_Broken, ValueError, RecursionError):
        return None
    return None if value is _MISSING else value


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int) -> tuple[Any, int]:
    at = _skip(text, at)
    if at == len(text):
        return _MISSING, at
    match text[at]:
        case "{":
            return _object(text, at + 1)
        case "[":
            return _array(text, at + 1)
        case '"':
            value, at, _ = _string(text, at)
            return value, at
        case _:
            return _literal(text, at)


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while (at := _skip(text, at)) < len(text):
        if text[at] == "}":
            return found, at + 1
        if text[at] == ",":
            at += 1
            continue
        if text[at] != '"':
            raise _Broken
        key, at, is_whole = _string(text, at)
        at = _skip(text, at)
        if not is_whole or at == len(text):
            break
        if text[at] != ":":
            raise _Broken
        value, at = _value(text, at + 1)
        if value is not _MISSING:
            found[key] = value
    return found, at


def _array(text: str, at: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while (at := _skip(text, at)) < len(text):
        if text[at] == "]":
            return found, at + 1
        if text[at] == ",":
            at += 1
            continue
        value, at = _value(text, at)
        if value is not _MISSING:
            found.append(value)
    return found, at


def _string(text: str, at: int) -> tuple[str, int, bool]:
    """Return the string that opens at ``at``, where it ends, and whether it is closed."""
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    if end < len(text):
        return json.loads(text[at : end + 1], strict=False), end + 1, True
    body = _ESCAPE_CUT.sub(lambda m: m[0][: -len(m[1])], text[at + 1 :])
    return json.loads(f'"{body}"', strict=False), len(text), False


def _literal(text: str, at: int) -> tuple[Any, int]:
    for word, value in _LITERALS.items():
        rest = text[at : at + len(word)]
        if rest == word or (at + len(rest) == len(text) and word.startswith(rest)):
            return value, at + len(rest)
    if _NUMBER_PREFIX.match(text, at):
        number = _NUMBER.match(text, at)
        return (json.loads(number[0]) if number else _MISSING), len(text)
    number = _NUMBER.match(text, at)
    if number is None:
        raise _Broken
    return json.loads(number[0]), number.end()
