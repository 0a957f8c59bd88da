"""The order of what waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def moved(order: Sequence[T], item: T, *, before: T | None) -> list[T]:
    """Return ``order`` with ``item`` directly before ``before``, or last; all others as they were.

    Both must be in ``order``; an item before itself stays where it is.
    """
    if before == item:
        return list(order)
    rest = [each for each in order if each != item]
    place = len(rest) if before is None else rest.index(before)
    return [*rest[:place], item, *rest[place:]]
