"""Template filters of threads: the groups of the list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import template

register = template.Library()


# Threads that wait for the person come first; an idle thread is as done as a completed one.
_GROUPS = (
    ("needs", "Needs you", ("requires_action",)),
    ("running", "Running", ("queued", "running")),
    ("done", "Done", ()),
)


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the list and the thread summaries under it."""

    key: str
    title: str
    threads: list[dict[str, Any]]


@register.filter
def grouped(threads: Iterable[dict[str, Any]]) -> list[Group]:
    """Return thread summaries in their groups, each in the same order, without empty groups."""
    found = {key: Group(key, title, []) for key, title, _ in _GROUPS}
    key_of = {status: key for key, _, statuses in _GROUPS for status in statuses}
    for thread in threads:
        found[key_of.get(thread["status"], "done")].threads.append(thread)
    return [group for group in found.values() if group.threads]
