"""The order of queued messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def moved(order: Sequence[T], item: T, *, before: T | None) -> list[T]:
    """Return ``order`` with ``item`` moved directly before ``before``, or to the end.

    Both must be in ``order``; an item before itself stays where it is.
    """
    if before == item:
        return list(order)
    rest = [each for each in order if each != item]
    index = len(rest) if before is None else rest.index(before)
    return [*rest[:index], item, *rest[index:]]
