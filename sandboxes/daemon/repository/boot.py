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
    """Compares the changes before a start with those after it, and notes what came in between.

    Only while nobody else is at work: where an agent, a shell command or a tool may have made a
    change, it counts as work.
    """

    def __init__(
        self,
        ask: Callable[[Callable[[Repository], Any]], Awaitable[Any]],
        runs: Callable[[], tuple[int, int]],
    ) -> None:
        self.on_noted: Callable[[], None] = lambda: None
        self._ask = ask
        self._runs = runs  # how many are at work, and how many there ever were
        self._before: frozenset[str] | None = None
        self._runs_before = (0, 0)
        self._is_disturbed = False
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Take down what is changed already."""
        self.abandon()
        self._is_disturbed, self._runs_before = False, self._runs()
        try:
            self._before = await self._ask(Repository.changed)
        except AppError:
            pass  # no repository, or not now: then nothing is told apart

    async def note(self) -> None:
        """Note what has come since the beginning."""
        if self._before is None or self._is_disturbed:
            return
        if self._runs_before[0] or self._runs() != self._runs_before:
            return
        try:
            await self._ask(partial(Repository.note_started, before=self._before))
        except AppError as exc:
            logger.warning("What the start has changed could not be noted: %s", exc)
        else:
            self.on_noted()

    def settle_soon(self) -> None:
        """The server answers: note what its start has changed, and be done."""
        self._cancel()
        if self._before is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SETTLES_AFTER, self._settle)

    def abandon(self) -> None:
        """Compare no more: whatever changes from now on is somebody's work."""
        self._cancel()
        self._before = None

    def disturb(self) -> None:
        """Somebody else is at work."""
        self._is_disturbed = True

    def stop(self) -> None:
        """Look no more. Safe to repeat."""
        self._cancel()
        if self._settling is not None:
            self._settling.cancel()

    # Tasks' listener: what is no part of the start may be anything

    def on_task(self, task: Task) -> None:
        if not task.wanted.is_of_setup:
            self.disturb()
        elif task.wanted.is_server and task.status != "running":
            self.abandon()

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        pass

    def _settle(self) -> None:
        self._settling = run_in_background(
            self._note_and_end(), what="noting what the start of the project has changed"
        )

    async def _note_and_end(self) -> None:
        await self.note()
        self._before = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
