"""The head of a tool's output, for a page that shows the rest on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

LONG: Final = 16_000  # characters of an output; a page first shows a few thousand
HEAD: Final = 8_000  # characters kept of a longer one


def shortened(part: dict[str, Any], *, url: Callable[[str], str]) -> dict[str, Any]:
    """Return a part of a message with no more of a tool's output than its head.

    If something was cut, ``outputCut`` says how long the output is and where all of it is
    (``url`` of the call's id). Numbers and flags, such as an exit code, are kept.
    """
    call = part.get("toolCallId")
    size = _size(part.get("output"))
    if size <= LONG or not isinstance(call, str):
        return part
    head, _ = _head(_without_pictures(part["output"]), HEAD)
    return {**part, "output": head, "outputCut": {"size": size, "url": url(call)}}


def _without_pictures(output: Any) -> Any:
    """Return the output with empty pictures: the beginning of one shows nothing."""
    pictures = output.get("pictures") if isinstance(output, dict) else None
    if not isinstance(pictures, list):
        return output
    kept = [{**each, "data": ""} if isinstance(each, dict) else "" for each in pictures]
    return {**output, "pictures": kept}


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value)) + len(value)
    if isinstance(value, dict):
        return sum(len(key) + _size(item) for key, item in value.items())
    return 1


def _head(value: Any, limit: int) -> tuple[Any, int]:
    """Return the beginning of ``value``, and how much of ``limit`` is left after it."""
    if isinstance(value, str):
        return value[:limit], max(0, limit - len(value))
    if isinstance(value, list):
        items = []
        for item in value:
            if limit <= 0:
                break
            head, limit = _head(item, limit - 1)
            items.append(head)
        return items, limit
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if limit <= 0 and not isinstance(item, bool | int | float | None):
                continue
            found[key], limit = _head(item, max(0, limit - len(key)))
        return found, limit
    return value, limit - 1
