"""The project's dev server: runs it in a terminal, reads its output, restarts and ends it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh import children, process_tree
from mesh.background import run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.descendants import mark_of
from sandboxes.daemon.events import Events
from sandboxes.daemon.setup import toolbox
from sandboxes.daemon.setup.announced_ports import PortSniffer
from sandboxes.daemon.setup.candidates import Candidate, candidates, own_processes
from sandboxes.daemon.setup.config import Config
from sandboxes.daemon.setup.frameworks import HOST
from sandboxes.daemon.setup.listening_ports import Listener, listeners_of
from sandboxes.daemon.setup.phases import Phases
from sandboxes.daemon.setup.project import (
    STARTERS,
    NotInstalled,
    Project,
    script_command,
    start_command,
)
from sandboxes.daemon.setup.restarts import Restarts
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks

INSTALL_LIMIT = 15 * 60.0  # seconds
UNSEEN = "{command} runs, but nothing of the project answers at any port yet."
PORT_HINT = (
    "It may still be building. If its page is at a port that Mesh does not find, write it into "
    "mesh.toml, as in: port = 3000. If another script serves the page, write that as dev."
)


@dataclass(frozen=True, slots=True)
class Launch:
    """The task of a server, and where it is expected; reused after a crash.

    ``port`` is the one that it was given, ``wanted`` the one that a person wrote down, if any.
    """

    spec: TaskSpec
    folder: Path
    port: int
    wanted: int | None


class DevServer:
    """At most one server, and where it may be found (``candidates``).

    A server that ran and crashed is restarted a few times (``restarts.py``). One that never ran is
    not: it would only fail again.
    """

    def __init__(self, tasks: Tasks, events: Events, phases: Phases) -> None:
        self.on_start: Callable[[], None] = lambda: None
        self.on_news: Callable[[], None] = lambda: None  # a port or an exit is worth a probe
        self._tasks, self._events, self._phases = tasks, events, phases
        self._sniffer = PortSniffer()
        self._starter: Task | None = None
        self._exited: Task | None = None  # its children, or a server that was there, may answer
        self._sought: Launch | None = None  # of the server that was started last
        self._mark = ""
        self.chosen: int | None = None  # the port that a person chose in the preview's menu
        self._listening: list[Listener] = []
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
            NoStart: the project does not say how.
            NotInstalled: its program is not on this machine.
            CantStart, TooManyTasks: as their texts say.
        """
        self._events.publish_scripts(sorted(project.scripts))
        self._phases.enter("starting")
        wanted = config.port or project.port
        port = wanted or free_port()
        if script:
            name, command = script, script_command(project, script)
        else:
            name, command = start_command(project, port=port)
        argv = toolbox.resolved(command, folder)
        if argv is None:
            raise NotInstalled(f"{command[0]} is not installed on this machine.")
        env = toolbox.server_env(toolbox.project_env(config, project, folder), port)
        self._restarts = Restarts()
        self._launch = Launch(
            task_spec(name, argv, env, config, is_server=True, shown_as=command),
            folder,
            port,
            wanted,
        )
        return await self._run(self._launch)

    async def end(self) -> None:
        """End every server of the project, which does not count as a failure."""
        await self.give_up()
        for name in STARTERS:
            await self._tasks.kill_all(named=name, intended=True)
        self._sought = None

    async def give_up(self) -> None:
        """Stop restarting it; a running server continues. Safe to repeat."""
        self._launch = None
        if self._timer is not None:
            self._timer.cancel()
        if self._restarting is not None and not self._restarting.done():
            await asyncio.wait(
                [self._restarting]
            )  # to its end, so that the task it starts can be ended

    @property
    def wanted(self) -> int | None:
        """The port that a person wrote down."""
        return self._sought.wanted if self._sought else None

    @property
    def has_failed(self) -> bool:
        """Whether it has exited with an error."""
        return self._exited is not None and self._exited.exit_code != 0

    async def candidates(self) -> list[Candidate]:
        """Return the ports at which it may be found, the likeliest first."""
        sought, sniffer = self._sought, self._sniffer
        if sought is None:
            return []
        listening = await asyncio.to_thread(self._listeners, sought.folder)
        self._listening = listening or []
        return candidates(
            wanted=sought.wanted,
            chosen=self.chosen,
            given=sought.port,
            announced=sniffer.found,
            listening=listening,
        )

    @property
    def ports(self) -> list[int]:
        """The ports on which the project's own processes listen, as of the last look."""
        return [one.port for one in self._listening]

    def is_open(self, port: int) -> bool:
        """Return whether the whole network reaches the port, as of the last look."""
        return any(one.is_open for one in self._listening if one.port == port)

    def why_unseen(self) -> dict[str, Any]:
        """Return the details for a person of a server that runs, and answers nowhere."""
        command = self._sought.spec.command if self._sought else ""
        lines = self._starter.output.last_lines() if self._starter else []
        return {"reason": UNSEEN.format(command=command), "hint": PORT_HINT, "lastLines": lines}

    def _listeners(self, folder: Path) -> list[Listener] | None:
        """Return what the project's own processes listen on. Blocking."""
        processes = process_tree.table()
        sandbox, tasks = os.getpid(), {task.pid for task in self._tasks.running}
        adopted = {pid for pid, _ in children.list_adopted()}
        ours = {one.pid for one in processes.values() if one.parent == sandbox}
        mark = self._mark
        own = own_processes(
            processes,
            starter=self._starter.pid if self._starter else None,
            programs=ours - tasks - adopted,
            marked={pid for pid in processes if mark and mark_of(pid) == mark},
            inside={pid for pid in processes if _works_inside(pid, folder)},
        )
        return listeners_of(own - {sandbox})

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
        # What it left may answer, or the server that was there already and made it leave.
        self._exited = task
        self.on_news()

    def on_task_output(self, task: Task, stream: str, text: str) -> None:
        if task is not self._starter:
            return
        if self._sniffer.feed(text):
            self.on_news()

    async def _run(self, launch: Launch) -> Task:
        self._sniffer, self._exited = PortSniffer(), None
        self._sought, self._mark = launch, ""
        self.on_start()
        task = await self._tasks.start(launch.spec)
        self._starter, self._mark = task, task.mark
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
            self._phases.enter("start-failed", reason=str(exc), hint=exc.hint)


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


def _works_inside(pid: int, folder: Path) -> bool:
    """Return whether a process's working folder is ``folder`` or below it. Linux only."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(folder)
    except OSError:
        return False
