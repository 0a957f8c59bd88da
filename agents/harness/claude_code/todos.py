"""The program's to-do list, derived from the calls of the tools that maintain it.

Older models write the whole list each time (``TodoWrite``), newer ones change tasks one by one
(``TaskCreate``, ``TaskUpdate``): then the list persists from turn to turn of a program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.harness.answer import Todo
from agents.harness.lines import list_of, object_of, text_of


class Todos:
    """The list of one conversation."""

    def __init__(self) -> None:
        self._tasks: dict[str, Todo] = {}

    def written(self, tool: str, tool_input: Any) -> list[Todo] | None:
        """Return the list that a call writes whole; ``None`` for any other call."""
        if tool != "TodoWrite" or not isinstance(tool_input, dict):
            return None
        return [
            {"text": text_of(todo, "content"), "status": text_of(todo, "status")}
            for todo in list_of(tool_input, "todos")
        ]

    def changed(self, tool: str, result: dict[str, Any]) -> list[Todo] | None:
        """Return the list after the ``result`` of ``tool``; ``None`` if it is unchanged."""
        change = _CHANGES.get(tool)
        if change is None or not change(self, result):
            return None
        return list(self._tasks.values())

    def _created(self, result: dict[str, Any]) -> bool:
        task = object_of(result, "task")
        self._tasks[text_of(task, "id")] = _todo(task)
        return bool(task)

    def _updated(self, result: dict[str, Any]) -> bool:
        number = text_of(result, "taskId")
        status = text_of(object_of(result, "statusChange"), "to")
        if status == "deleted":
            return self._tasks.pop(number, None) is not None
        if not status or number not in self._tasks:  # created before the program started
            return False
        self._tasks[number]["status"] = status
        return True

    def _listed(self, result: dict[str, Any]) -> bool:
        tasks = list_of(result, "tasks")
        self._tasks = {text_of(task, "id"): _todo(task) for task in tasks}
        return bool(tasks)


def _todo(task: dict[str, Any]) -> Todo:
    return {"text": text_of(task, "subject"), "status": text_of(task, "status") or "pending"}


_CHANGES: dict[str, Callable[[Todos, dict[str, Any]], bool]] = {
    "TaskCreate": Todos._created,
    "TaskList": Todos._listed,
    "TaskUpdate": Todos._updated,
}
