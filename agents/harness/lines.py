"""Parsing of untrusted lines of JSON."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# A NUL, or a lone surrogate: valid in JSON, refused by PostgreSQL and by UTF-8.
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def as_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line; ``None`` if it is not one."""
    try:
        value = parse(line.decode(errors="replace"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def parse(text: str) -> Any:
    """Return a JSON value that can be stored and sent anywhere: strings are made printable.

    Raises:
        ValueError: it is not JSON, or could not be serialised again.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        return _cleaned(value) if "\\u" in text else value
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # 1e999 is parsed as infinity, which JSON can't express
        raise ValueError(f"{text} is too large")
    return value


def printable(text: str) -> str:
    """Return ``text`` with the characters replaced that can't be stored."""
    return _UNFIT.sub("\ufffd", text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): _cleaned(item) for key, item in value.items()}
    return value


def text_of(message: dict[str, Any], key: str) -> str:
    """Return the string under ``key``, or an empty one."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def object_of(message: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under ``key``, or an empty one."""
    value = message.get(key)
    return value if isinstance(value, dict) else {}


def list_of(message: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in the list under ``key``."""
    value = message.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
