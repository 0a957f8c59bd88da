"""The project's dev server: started in a terminal, heard, ended."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from sandboxes.daemon.events import Events
from sandboxes.daemon.setup import toolbox
from sandboxes.daemon.setup.announced import PortSniffer
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
from sandboxes.daemon.tasks.task import Task, Wanted
from sandboxes.daemon.tasks.tasks import Tasks

INSTALL_LIMIT = 15 * 60.0  # seconds


class DevServer:
    """At most one of them; ``port`` is where it is expected, until it says another."""

    def __init__(self, tasks: Tasks, events: Events, phases: Phases) -> None:
        self.port: int | None = None
        self.on_start: Callable[[], None] = lambda: None
        self.on_port: Callable[[], None] = lambda: None
        self._tasks, self._events, self._phases = tasks, events, phases
        self._sniffer = PortSniffer()
        self._starter: Task | None = None
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
        self._sniffer = PortSniffer()
        self.port = port
        self.on_start()
        task = await self._tasks.start(
            wanted(name, argv, env, config, is_server=True, shown_as=command)
        )
        self._starter = task
        if task.status != "running":  # it did not live long enough to be looked at
            self.on_task(task)
        return task

    async def end(self) -> None:
        """End every server of the project; that is no failure."""
        for name in STARTERS:
            await self._tasks.kill_all(named=name, intended=True)
        self.port = None

    # Tasks' listener

    def on_task(self, task: Task) -> None:
        if task is not self._starter or task.status == "running":
            return
        self._starter = None
        if not task.is_intended and task.exit_code != 0:
            reason = f"{task.wanted.name} script exited with code {task.exit_code}"
            self._phases.enter("start-failed", reason=reason)

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task is self._starter and (port := self._sniffer.feed(text)):
            self.port = port
            self.on_port()


def wanted(
    name: str,
    argv: list[str],
    env: dict[str, str],
    config: Config,
    *,
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
    )


def free_port() -> int:
    """Return a port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
