"""The project's dev server: runs it in a terminal, reads its output, restarts and ends it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh.background import run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.events import Events
from sandboxes.daemon.setup import toolbox
from sandboxes.daemon.setup.announced_ports import PortSniffer
from sandboxes.daemon.setup.config import Config
from sandboxes.daemon.setup.phases import Phases
from sandboxes.daemon.setup.project import (
    HOST,
    STARTERS,
    NoStart,
    Project,
    script_command,
    start_command,
)
from sandboxes.daemon.setup.restarts import Restarts
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks

INSTALL_LIMIT = 15 * 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Launch:
    """The task and the expected port of a server; reused after a crash."""

    spec: TaskSpec
    port: int


class DevServer:
    """At most one server; ``port`` is the expected one until it announces another.

    A server that ran and crashed is restarted a few times (``restarts.py``). One that never ran is
    not: it would only fail again.
    """

    def __init__(self, tasks: Tasks, events: Events, phases: Phases) -> None:
        self.port: int | None = None
        self.moved_to: int | None = None  # announced later; used when ``port`` does not answer
        self.on_start: Callable[[], None] = lambda: None
        self.on_news: Callable[[], None] = lambda: None  # a port or an exit is worth a probe
        self._tasks, self._events, self._phases = tasks, events, phases
        self._sniffer = PortSniffer()
        self._starter: Task | None = None
        self._exited: Task | None = None  # exited without an error; its children may still answer
        self._launch: Launch | None = None
        self._restarts = Restarts()
        self._timer: asyncio.TimerHandle | None = None
        self._restarting: asyncio.Task[None] | None = None
        tasks.listeners.append(self)

    async def start(
        self, config: Config, project: Project, folder: Path, *, script: str = ""
    ) -> Task:
        """Start it with ``script``, or else as the project says; return its task.

        Raises:
            NoStart: the project does not say how, or its program is not on this machine.
            CantStart, TooManyTasks: as their texts say.
        """
        self._events.publish_scripts(sorted(project.scripts))
        self._phases.enter("starting")
        port = config.port or project.port or free_port()
        if script:
            name, command = script, script_command(project, script)
        else:
            name, command = start_command(project, port=port)
        argv = toolbox.resolved(command, folder)
        if argv is None:
            raise NoStart(f"{command[0]} is not installed on this machine.")
        env = toolbox.server_env(toolbox.project_env(config, project, folder), port)
        self._restarts = Restarts()
        self._launch = Launch(
            task_spec(name, argv, env, config, is_server=True, shown_as=command), port
        )
        return await self._run(self._launch)

    async def end(self) -> None:
        """End every server of the project, which does not count as a failure."""
        await self.give_up()
        for name in STARTERS:
            await self._tasks.kill_all(named=name, intended=True)
        self.port = None

    async def give_up(self) -> None:
        """Stop restarting it; a running server continues. Safe to repeat."""
        self._launch = None
        if self._timer is not None:
            self._timer.cancel()
        if self._restarting is not None and not self._restarting.done():
            await asyncio.wait(
                [self._restarting]
            )  # to its end, so that the task it starts can be ended

    def is_silent(self) -> bool:
        """Handle that nothing answers any more; return whether the server has exited as well."""
        if self._exited is None:
            return False
        task, self._exited = self._exited, None
        self._crashed(task)
        return True

    # TaskListener

    def on_task(self, task: Task) -> None:
        if task is not self._starter or task.status == "running":
            return
        self._starter = None
        if task.is_intended:
            return
        if task.exit_code == 0:  # its children may still be a server that answers
            self._exited = task
            self.on_news()
        else:
            self._crashed(task)

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task is not self._starter:
            return
        is_first = self._sniffer.port is None
        for port in self._sniffer.feed(text):
            if is_first:
                self.port, is_first = port, False
            else:
                self.moved_to = None if port == self.port else port
            self.on_news()

    async def _run(self, launch: Launch) -> Task:
        self._sniffer, self._exited = PortSniffer(), None
        self.port, self.moved_to = launch.port, None
        self.on_start()
        task = await self._tasks.start(launch.spec)
        self._starter = task
        if task.status != "running":  # it exited before it was registered here
            self.on_task(task)
        return task

    def _crashed(self, task: Task) -> None:
        reason = f"{task.spec.name} script exited with code {task.exit_code}"
        detail = {"reason": reason, "lastLines": task.output.last_lines()}
        wait = None if task.status == "killed" else self._wait_after_crash()
        if wait is None:
            self._phases.enter("start-failed", **detail)
            return
        self._phases.enter("crashed", **detail, restart=self._restarts.count, inSeconds=wait)
        self._timer = asyncio.get_running_loop().call_later(wait, self._restart_now)

    def _wait_after_crash(self) -> float | None:
        phase = self._phases.last
        if phase is None or self._launch is None:
            return None
        if phase.kind == "starting" and not self._restarts.count:
            return None
        ran_for = time.time() - phase.at / 1000 if phase.kind == "running" else 0.0
        self._restarts, wait = self._restarts.after_crash(ran_for=ran_for)
        return wait

    def _restart_now(self) -> None:
        # If somebody started one by hand meanwhile, it answers and the phase is another.
        if self._launch is not None and self._phases.kind == "crashed":
            self._restarting = run_in_background(
                self._restart(self._launch), what="restarting the dev server"
            )

    async def _restart(self, launch: Launch) -> None:
        self._phases.enter("starting", restart=self._restarts.count)
        try:
            await self._run(launch)
        except AppError as exc:
            self._phases.enter("start-failed", reason=str(exc))


def task_spec(
    name: str,
    argv: list[str],
    env: dict[str, str],
    config: Config,
    *,
    is_of_setup: bool = False,
    is_server: bool = False,
    shown_as: list[str] | None = None,
) -> TaskSpec:
    """Return the task that runs a program of the project; its output is published."""
    return TaskSpec(
        argv=argv,
        command=" ".join(shown_as or argv),
        name=name,
        env=env,
        cwd=config.path,
        timeout=None if is_server else INSTALL_LIMIT,
        has_terminal=is_server,
        is_logged=True,
        is_server=is_server,
        is_of_setup=is_of_setup or is_server,
    )


def free_port() -> int:
    """Return an unused port of this machine."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
