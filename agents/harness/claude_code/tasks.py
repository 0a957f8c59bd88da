"""What the program runs in the background, as its lines tell it."""

from __future__ import annotations

from typing import Any

from agents.harness.base import BackgroundTask
from agents.harness.lines import list_of, text_of

MOST = 100  # tasks that are told
TITLE_LIMIT = 300  # characters


def tasks_of(message: dict[str, Any]) -> tuple[BackgroundTask, ...]:
    """Return the tasks of a ``background_tasks_changed`` line."""
    return tuple(
        BackgroundTask(
            text_of(task, "task_id"),
            text_of(task, "description")[:TITLE_LIMIT] or "A task without a name",
            "agent" if "agent" in text_of(task, "task_type") else "command",
        )
        for task in list_of(message, "tasks")[:MOST]
        if text_of(task, "task_id")
    )
