"""Reading lines of JSON that others wrote: nothing in them is taken for granted."""

from __future__ import annotations

import json
from typing import Any


def as_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line; ``None`` when it is none."""
    try:
        value = json.loads(line)
    # Deep nesting runs out of stack; an integer of 5,000 digits is refused as a ValueError.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_of(message: dict[str, Any], key: str) -> str:
    """Return the text under ``key``, or an empty one."""
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
