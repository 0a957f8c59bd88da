"""What the agents of a sandbox run beside their turns, with the time when each began."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.harness.base import BackgroundTask, Json

LONGEST = 12 * 3600.0  # seconds for which work in the background keeps its program


@dataclass(frozen=True, slots=True)
class _Running:
    task: BackgroundTask
    started_at: float


class BackgroundWork:
    """The tasks of one conversation."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def update(self, tasks: Sequence[BackgroundTask], *, now: float | None = None) -> None:
        """Take all that runs now; what ran before keeps its time."""
        now = time.time() if now is None else now
        before = self._running
        self._running = {
            task.id: _Running(task, before[task.id].started_at if task.id in before else now)
            for task in tasks
        }

    def __bool__(self) -> bool:
        return bool(self._running)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._running

    def keeps(self, *, now: float | None = None) -> bool:
        """Return whether the program must not be ended yet, however long it has been idle."""
        now = time.time() if now is None else now
        return any(now - each.started_at < LONGEST for each in self._running.values())

    def as_json(self) -> list[Json]:
        return [
            {
                "id": each.task.id,
                "title": each.task.title,
                "kind": each.task.kind,
                "startedAt": each.started_at,
            }
            for each in self._running.values()
        ]
