"""The project's dev server: started in a terminal, heard, started again, ended."""

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
from sandboxes.daemon.tasks.task import Task, Wanted
from sandboxes.daemon.tasks.tasks import Tasks

INSTALL_LIMIT = 15 * 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and where it is expected; the same again after a crash."""

    wanted: Wanted
    port: int


class DevServer:
    """At most one of them; ``port`` is where it is expected, until it says another.

    One that ran and crashed is started again a few times (``restarts.py``). One that never
    ran is not: it would only fail once more.
    """

    def __init__(self, tasks: Tasks, events: Events, phases: Phases) -> None:
        self.port: int | None = None
        self.moved_to: int | None = None  # announced later; counts when ``port`` is silent
        self.on_start: Callable[[], None] = lambda: None
        self.on_news: Callable[[], None] = lambda: None  # there may be more to see than before
        self._tasks, self._events, self._phases = tasks, events, phases
        self._sniffer = PortSniffer()
        self._starter: Task | None = None
        self._left: Task | None = None  # ended without an error; something may still answer
        self._launch: Launch | None = None
        self._restarts = Restarts()
        self._timer: asyncio.TimerHandle | None = None
        self._restarting: asyncio.Task[None] | None = None
        tasks.listeners.append(self)

    async def start(
        self, config: Config, project: Project, folder: Path, *, script: str = ""
    ) -> Task:
        """Start it, by ``script`` or else as the project says; return its task.

        Raises:
            NoStart: nothing says how, or its program is not on this machine.
            CantStart, TooManyTasks: as they say.
        """
        self._events.tell_scripts(sorted(project.scripts))
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
            wanted(name, argv, env, config, is_server=True, shown_as=command), port
        )
        return await self._run(self._launch)

    async def end(self) -> None:
        """End every server of the project; that is no failure."""
        await self.give_up()
        for name in STARTERS:
            await self._tasks.kill_all(named=name, intended=True)
        self.port = None

    async def give_up(self) -> None:
        """Start it no more by itself; what runs goes on. Safe to repeat."""
        self._launch = None
        if self._timer is not None:
            self._timer.cancel()
        if self._restarting is not None and not self._restarting.done():
            await asyncio.wait([self._restarting])  # whole: what it starts can be ended then

    def is_silent(self) -> bool:
        """Take in that nothing answers any more; say whether the server is gone, too."""
        if self._left is None:
            return False
        left, self._left = self._left, None
        self._crashed(left)
        return True

    # Tasks' listener

    def on_task(self, task: Task) -> None:
        if task is not self._starter or task.status == "running":
            return
        self._starter = None
        if task.is_intended:
            return
        if task.exit_code == 0:  # it may have left a server behind that answers
            self._left = task
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
        self._sniffer, self._left = PortSniffer(), None
        self.port, self.moved_to = launch.port, None
        self.on_start()
        task = await self._tasks.start(launch.wanted)
        self._starter = task
        if task.status != "running":  # it did not live long enough to be looked at
            self.on_task(task)
        return task

    def _crashed(self, task: Task) -> None:
        reason = f"{task.wanted.name} script exited with code {task.exit_code}"
        told = {"reason": reason, "lastLines": task.output.last_lines()}
        wait = None if task.status == "killed" else self._wait_after_crash()
        if wait is None:
            self._phases.enter("start-failed", **told)
            return
        self._phases.enter("crashed", **told, restart=self._restarts.count, inSeconds=wait)
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
        # Somebody may have started one by hand meanwhile: then something answers again.
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


def wanted(
    name: str,
    argv: list[str],
    env: dict[str, str],
    config: Config,
    *,
    is_of_setup: bool = False,
    is_server: bool = False,
    shown_as: list[str] | None = None,
) -> Wanted:
    """Return what is to be started for the project, so that its output is told."""
    return Wanted(
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
    """Return a port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
