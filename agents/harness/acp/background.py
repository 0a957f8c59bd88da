"""What an agent that speaks version 2 runs beside its turns."""

from __future__ import annotations

from typing import Any, Final

from agents.harness.base import Background, BackgroundTask
from agents.harness.lines import list_of, object_of, text_of

Update = dict[str, Any]

MOST: Final = 100  # tasks that are told
NAMED: Final = 1_000  # terminals and calls whose titles are kept
TITLE_LIMIT: Final = 300  # characters
# Kind of work → the field with its id, and the method that ends it.
_KINDS: Final = {
    "terminal": ("terminalId", "terminal/cancel"),
    "tool_call": ("toolCallId", "tool_call/cancel"),
}


class BackgroundTasks:
    """The tasks of one session."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._running: dict[str, tuple[str, BackgroundTask]] = {}  # id → its kind, and the task
        self.ended = ""  # the title of the one that ended last

    def __bool__(self) -> bool:
        return bool(self._running)

    def name(self, update: Update) -> None:
        """Take what a terminal runs, or what a call does, from an update about it."""
        raw = object_of(update, "rawInput")
        title = text_of(raw, "command") or text_of(update, "command") or text_of(update, "title")
        names = ("terminalId", "toolCallId", "sessionId")
        own = next((found for name in names if (found := text_of(update, name))), "")
        if own and title and (own in self._titles or len(self._titles) < NAMED):
            self._titles[own] = title[:TITLE_LIMIT]

    def title_of(self, own: str) -> str:
        """Return what a terminal, a call or a sub-agent does; empty if that is not known."""
        return self._titles.get(own, "")

    def take(self, update: Update) -> Background | None:
        """Take a state with a list of all that runs; ``None`` if it has no list, or no change."""
        if not isinstance(update.get("background"), list):
            return None
        found = {}
        for each in list_of(update, "background")[:MOST]:
            kind = text_of(each, "type")
            field = _KINDS.get(kind, ("sessionId", ""))[0]
            if own := text_of(each, field):
                found[own] = (kind, self._task(own, kind))
        for own in self._running.keys() - found.keys():
            self.ended = self._running[own][1].title
        is_new, self._running = found.keys() != self._running.keys(), found
        return self.told() if is_new else None

    def _task(self, own: str, kind: str) -> BackgroundTask:
        if kind in _KINDS:
            return BackgroundTask(own, self._titles.get(own, "A command"))
        return BackgroundTask(own, self._titles.get(own, "A sub-agent"), "agent")

    def told(self) -> Background:
        return Background(tuple(task for _, task in self._running.values()))

    def clear(self) -> None:
        self._running = {}

    def stop(self, own: str) -> tuple[str, Update] | None:
        """Return method and parameters that end a task; ``None`` if there is no way."""
        kind, _ = self._running.get(own, ("", None))
        if kind not in _KINDS:
            return None
        field, method = _KINDS[kind]
        return method, {field: own}
