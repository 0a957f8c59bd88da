"""Finds out which files a project's installation and the start of its server change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from mesh.background import run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.tasks.task import Task

logger = logging.getLogger(__name__)

SETTLES_AFTER = 3.0  # seconds after the server's first answer


class Boot:
    """Compares the changed files before and after a start, and records the difference.

    Only while nothing else is running: if an agent, a shell command or a tool may have made a
    change, it counts as somebody's work.
    """

    def __init__(
        self,
        ask: Callable[[Callable[[Repository], Any]], Awaitable[Any]],
        runs: Callable[[], tuple[int, int]],
    ) -> None:
        self.on_noted: Callable[[], None] = lambda: None
        self._ask = ask
        self._runs = runs  # how many are active, and how many were started so far
        self._before: frozenset[str] | None = None
        self._runs_before = (0, 0)
        self._is_disturbed = False
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Record which files are already changed."""
        self.abandon()
        self._is_disturbed, self._runs_before = False, self._runs()
        try:
            self._before = await self._ask(Repository.changed)
        except AppError:
            pass  # no usable repository: changes are not told apart

    async def note(self) -> None:
        """Record the files that changed since ``begin``."""
        if self._before is None or self._is_disturbed:
            return
        if self._runs_before[0] or self._runs() != self._runs_before:
            return
        try:
            await self._ask(partial(Repository.note_started, before=self._before))
        except AppError as exc:
            logger.warning(
                "recording the files that the project's start changed failed, they count as work:"
                " %s",
                exc,
            )
        else:
            self.on_noted()

    def settle_soon(self) -> None:
        """Record the changes of the start in a moment, now that the server answers."""
        self._cancel()
        if self._before is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SETTLES_AFTER, self._settle)

    def abandon(self) -> None:
        """Stop comparing: every change from now on is somebody's work."""
        self._cancel()
        self._before = None

    def disturb(self) -> None:
        """Note that something else may have changed files."""
        self._is_disturbed = True

    def stop(self) -> None:
        """Stop comparing, and cancel what is running. Safe to repeat."""
        self._cancel()
        if self._settling is not None:
            self._settling.cancel()

    # TaskListener: a task that is not part of the start may change any file

    def on_task(self, task: Task) -> None:
        if not task.spec.is_of_setup:
            self.disturb()
        elif task.spec.is_server and task.status != "running":
            self.abandon()

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        pass

    def _settle(self) -> None:
        self._settling = run_in_background(
            self._note_and_end(), what="recording the files that the project's start changed"
        )

    async def _note_and_end(self) -> None:
        await self.note()
        self._before = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
