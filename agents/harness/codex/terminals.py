"""The commands that outlive the turn that started them, in terminals of Codex."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agents.harness.base import Background, BackgroundTask

MOST: Final = 100  # commands that are told
TITLE_LIMIT: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class Terminal:
    """A running command: its item, what it runs, and Codex's id of its process, if it has one."""

    item_id: str
    command: str
    process: str


class Terminals:
    """Those of one program; each change is told as ``Background``."""

    def __init__(self) -> None:
        self._running: dict[str, Terminal] = {}

    def __bool__(self) -> bool:
        return bool(self._running)

    def find(self, item_id: str) -> Terminal | None:
        return self._running.get(item_id)

    def add(self, terminals: Iterable[Terminal]) -> Background:
        self._running |= {terminal.item_id: terminal for terminal in terminals}
        return self._told()

    def end(self, item_id: str) -> Background | None:
        """Forget one that has ended; ``None`` if it is not known."""
        return self._told() if self._running.pop(item_id, None) else None

    def clear(self) -> Background:
        self._running = {}
        return self._told()

    def _told(self) -> Background:
        terminals = list(self._running.values())[:MOST]
        titles = (each.command[:TITLE_LIMIT] or "A command" for each in terminals)
        ids = (each.item_id for each in terminals)
        return Background(tuple(map(BackgroundTask, ids, titles)))
