"""The head of what a tool gave back, for a page that shows no more until it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

LONG: Final = 16_000  # characters of an output; a page shows a few thousand at first
HEAD: Final = 8_000  # of a longer one stay


def shortened(part: dict[str, Any], *, url: Callable[[str], str]) -> dict[str, Any]:
    """Return a part of a message with no more of a tool's output than its head.

    Of what was cut, ``outputCut`` says how long it is and, by ``url`` of the call's id, where
    all of it is. Numbers and marks, such as an exit code, are kept.
    """
    call = part.get("toolCallId")
    size = _size(part.get("output"))
    if size <= LONG or not isinstance(call, str):
        return part
    head, _ = _head(part["output"], HEAD)
    return {**part, "output": head, "outputCut": {"size": size, "url": url(call)}}


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value)) + len(value)
    if isinstance(value, dict):
        return sum(len(key) + _size(item) for key, item in value.items())
    return 1


def _head(value: Any, room: int) -> tuple[Any, int]:
    """Return the beginning of ``value``, and how much room is left behind it."""
    if isinstance(value, str):
        return value[:room], max(0, room - len(value))
    if isinstance(value, list):
        items = []
        for item in value:
            if room <= 0:
                break
            head, room = _head(item, room - 1)
            items.append(head)
        return items, room
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if room <= 0 and not isinstance(item, bool | int | float | None):
                continue
            found[key], room = _head(item, max(0, room - len(key)))
        return found, room
    return value, room - 1
