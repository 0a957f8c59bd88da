"""All tasks of one sandbox: starts, observes, ends and forgets them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from mesh import process_tree, processes
from mesh.plain_files import read_plain
from sandboxes.daemon.descendants import Marks, marked
from sandboxes.daemon.tasks.errors import (
    CantStart,
    NotRunning,
    StillRunning,
    TooManyTasks,
    UnknownTask,
)
from sandboxes.daemon.tasks.task import TERM_GRACE, TRACE, Task, TaskSpec, start
from sandboxes.daemon.working_folder import Workplace

AT_ONCE = 50
KEPT_FOR = 15 * 60.0  # seconds after the end


class TaskListener(Protocol):
    """Is notified of every task."""

    def on_task(self, task: Task) -> None:
        """It has started or ended."""

    def on_task_output(self, task: Task, stream: str, text: str) -> None: ...


class Tasks:
    """Tasks by their id, ``task1`` and so on; their logs are in ``logs``."""

    def __init__(self, workplace: Workplace, logs: Path, marks: Marks) -> None:
        self._workplace = workplace
        self._marks = marks
        self._logs = logs
        self._tasks: dict[str, Task] = {}
        self._count = 0
        self._starting = 0
        self.listeners: list[TaskListener] = []
        self._leftovers = _read_traces(logs)
        for stale in logs.glob("task*"):
            stale.unlink(missing_ok=True)

    @property
    def running(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.status == "running"]

    def list(self) -> list[Task]:
        """Return the running and the recently ended tasks, oldest first."""
        self.reap()
        return list(self._tasks.values())

    def get(self, task_id: str) -> Task:
        """Return the task.

        Raises:
            UnknownTask: there is none with that id.
        """
        if task_id not in self._tasks:
            raise UnknownTask
        return self._tasks[task_id]

    async def start(self, spec: TaskSpec) -> Task:
        """Start a program; return its task without waiting for it.

        Raises:
            TooManyTasks, CantStart: as their texts say.
            PathOutside, NotADirectory, …: its folder is not in the sandbox.
            NotReady, GitFailed: the working folder is not available.
        """
        self.reap()
        if len(self.running) + self._starting >= AT_ONCE:
            raise TooManyTasks
        # Shielded from a caller that is cancelled: an untracked program would never be ended.
        return await asyncio.shield(self._started(spec))

    async def _started(self, spec: TaskSpec) -> Task:
        self._starting += 1
        mark, began = self._marks.new(), process_tree.now()
        to_start = replace(spec, env=marked(spec.env, mark))
        try:
            await self.end_leftovers()
            tree = await self._workplace.tree()
            process, pipes = await asyncio.to_thread(start, to_start, tree)
            started = await processes.find_start(process.pid)
        except OSError as exc:
            raise CantStart(f"{spec.argv[0]} could not be started: {exc.strerror}.") from exc
        finally:
            self._starting -= 1
        self._count += 1
        name = f"task{self._count}"
        task = Task(name, spec, self, self._logs / f"{name}.log", mark, began=began)
        self._tasks[task.id] = task
        task.watch(process, pipes, started=started)
        for listener in self.listeners:
            listener.on_task(task)
        return task

    async def kill(self, task_id: str) -> None:
        """End a task.

        Raises:
            UnknownTask, NotRunning: as their texts say.
        """
        task = self.get(task_id)
        if task.status != "running":
            raise NotRunning
        await task.kill()

    async def kill_all(
        self, *, named: str | None = None, intended: bool = False, grace: float = TERM_GRACE
    ) -> int:
        """End all running tasks, or those with a name; return how many there were."""
        found = [t for t in self.running if named is None or t.spec.name == named]
        await asyncio.gather(*[task.kill(intended=intended, grace=grace) for task in found])
        return len(found)

    async def end_leftovers(self) -> None:
        """End the tasks that an earlier process of the sandbox left running when it was killed."""
        found, self._leftovers = self._leftovers, []
        await asyncio.gather(
            *[processes.end_group_of(pid, started, grace=TERM_GRACE) for pid, started in found]
        )

    def delete(self, task_id: str) -> None:
        """Forget an ended task, and delete its log.

        Raises:
            UnknownTask, StillRunning: as their texts say.
        """
        task = self.get(task_id)
        if task.status == "running":
            raise StillRunning
        self._forget(task)

    # Audience of each task

    def on_output(self, task: Task, stream: str, text: str) -> None:
        for listener in list(self.listeners):
            listener.on_task_output(task, stream, text)

    def on_end(self, task: Task) -> None:
        if not task.spec.is_kept:
            self._forget(task)
        for listener in list(self.listeners):
            listener.on_task(task)

    def reap(self) -> None:
        """Forget the tasks that ended long ago."""
        now = time.time()
        for task in list(self._tasks.values()):
            if task.ended_at is not None and now - task.ended_at > KEPT_FOR:
                self._forget(task)

    def _forget(self, task: Task) -> None:
        if self._tasks.pop(task.id, None) is not None:
            with contextlib.suppress(OSError):
                task.log_path.unlink(missing_ok=True)


def _read_traces(logs: Path) -> list[tuple[int, str]]:
    """Return pid and start time of the tasks of an earlier sandbox process."""
    found = []
    for trace in logs.glob(f"task*{TRACE}"):
        with contextlib.suppress(OSError):
            pid, _, started = read_plain(trace).partition(" ")
            if pid.isdecimal():
                found.append((int(pid), started))
    return found
