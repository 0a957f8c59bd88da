"""Takes a project from its configuration to a running server: clone, install, start."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agents.harness.base import BadInput
from mesh import launch
from mesh.background import run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.events import Events
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.setup import settings_file, store, toolbox
from sandboxes.daemon.setup.config import (
    FIRST_STEP,
    Config,
    Step,
    merge,
    parse_change,
    shown,
    transition,
    view,
)
from sandboxes.daemon.setup.errors import AgentAtWork, NotConfigured, StepFailed, UnknownScript
from sandboxes.daemon.setup.phases import Phases
from sandboxes.daemon.setup.project import (
    STARTERS,
    Project,
    install_commands,
    script_command,
)
from sandboxes.daemon.setup.server import DevServer, task_spec
from sandboxes.daemon.setup.steps import FAILED, Queue, steps_from
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks
from sandboxes.daemon.working_folder import Workplace

logger = logging.getLogger(__name__)


class Checkout(Protocol):
    """Provides the project's files."""

    @property
    def cloned_from(self) -> str: ...
    def must_clone(self, clone_url: str) -> bool: ...
    async def change(
        self,
        clone_url: str,
        branch: str,
        *,
        to_branch: bool,
        identity: tuple[str, str],
        say: Callable[[str], None],
    ) -> Path: ...


class Boot(Protocol):
    """Records which files a start changes."""

    async def begin(self) -> None: ...
    async def note(self) -> None: ...
    def abandon(self) -> None: ...


class Setup:
    """The configuration, the steps that it needs, and the running server."""

    def __init__(
        self,
        *,
        root: Path,
        checkout: Checkout,
        workplace: Workplace,
        boot: Boot,
        tasks: Tasks,
        events: Events,
        has_runs: Callable[[], bool],
    ) -> None:
        self._root, self._checkout, self._workplace = root, checkout, workplace
        self._boot, self._tasks, self._events = boot, tasks, events
        self._has_runs = has_runs
        self.phases = Phases(events)
        self.queue = Queue()
        self.server = DevServer(tasks, events, self.phases)
        self._known: dict[str, Any] | None = None
        self._working: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        # Only a change of the configuration switches the branch: an agent may have switched itself.
        self._to_branch = False

    @property
    def config(self) -> Config | None:
        return None if self._known is None else view(self._known)

    def resume(self) -> None:
        """Resume the setup that an earlier process was given."""
        self.server.chosen = store.load_choice(self._root)
        self._known = store.load(self._root)
        if self._known is not None:
            self.enqueue("clone")

    async def choose_port(self, port: int | None) -> None:
        """Keep the port that the preview shows while something answers there; ``None``: none.

        Raises:
            NotKept: the disk can't store it.
        """
        text = json.dumps({"port": port})
        await asyncio.to_thread(store.save, self._root, store.CHOICE, text)
        self.server.chosen = port

    def reinstall(self) -> None:
        """Install and start the project again, if it is set up: its folder was made again."""
        if self._known is not None:
            self.enqueue("install")

    def retry(self) -> None:
        """Prepare the project again if its folder could not be had: it can be now."""
        if self._known is not None and self.phases.kind == FAILED["clone"]:
            self.enqueue("clone")

    def as_json(self) -> dict[str, Any]:
        """Return the public state of the configuration and of the steps."""
        return {
            "config": None if self._known is None else shown(self._known),
            "envKeys": sorted(self._known.get("env", {})) if self._known else [],
            "phases": self.phases.as_json(),
            "ready": self.phases.kind == "running",
            "orchestrator": {
                "running": self.queue.running is not None,
                "pending": self.queue.pending,
            },
        }

    async def configure(self, body: Any) -> dict[str, Any]:
        """Apply a change of the configuration and start the steps that it needs.

        Raises:
            BadInput: the change is invalid; nothing is changed.
            Immutable: it names another repository.
            AgentAtWork: it names another branch while an agent works on this one.
            NotKept: the disk can't store it.
        """
        if not isinstance(body, dict):
            raise BadInput("The body must be a JSON object.", detail="body")
        change = parse_change(body)
        async with self._changing:
            old = self.config
            merged = merge(self._known or {}, change)
            kind = transition(old, view(merged), cloned_from=self._checkout.cloned_from)
            if kind == "branch-change" and self._has_runs():
                raise AgentAtWork
            if kind != "no-op":
                text = json.dumps(merged)
                await asyncio.to_thread(store.save, self._root, store.NAME, text)
            self._known = merged
            self._to_branch = self._to_branch or kind == "branch-change"
        if step := FIRST_STEP[kind]:
            self.enqueue(step)
        return {"transition": kind, "config": shown(merged)}

    def enqueue(self, step: Step) -> None:
        """Run ``step`` and the steps after it once the running one has ended.

        Raises:
            NotConfigured: there is no configuration.
        """
        if self._known is None:
            raise NotConfigured
        self.queue = self.queue.add(step)
        if self._working is None or self._working.done():
            self._working = run_in_background(self._work(), what="setting the project up")

    async def cancel(self) -> None:
        """Stop the running step and drop the waiting one; the results so far stay.

        A crashed server is not restarted either.
        """
        working = self._working
        if working is not None and not working.done():
            working.cancel()
            await asyncio.wait([working])
        await self.server.give_up()

    async def kill_script(self, name: str) -> int:
        """End the tasks with a script's name; return how many there were."""
        if name in STARTERS:
            await self.server.give_up()
        return await self._tasks.kill_all(named=name, intended=True)

    async def run_script(self, name: str) -> Task:
        """Start a script of the project's manifest; replaces a running one of that name.

        Raises:
            NotConfigured, UnknownScript, CantStart: as their texts say.
        """
        config = self._configured()
        project, folder = await self._look(config)
        if name not in project.scripts:
            raise UnknownScript(available=sorted(project.scripts))
        if name in STARTERS:  # the preview shows this one, however it was started
            await self.server.end()
            return await self.server.start(config, project, folder, script=name)
        argv = toolbox.resolved(script_command(project, name), folder)
        if argv is None:
            raise StepFailed(f"{project.manager} is not installed on this machine.")
        await self._tasks.kill_all(named=name, intended=True)
        env = toolbox.project_env(config, project, folder)
        return await self._tasks.start(task_spec(name, argv, env, config))

    async def scripts(self) -> list[str]:
        """Return the names of the manifest's scripts; empty before the project is cloned."""
        config = self.config
        if config is None or self._checkout.must_clone(config.clone_url):
            return []
        project, _ = await self._look(config)
        return sorted(project.scripts)

    async def settings(self) -> dict[str, Any]:
        """Return what the project's mesh.toml says, with its revision.

        Raises:
            NotConfigured, InvalidSettings: as their texts say.
        """
        tree, path, _ = await self._settings_place()
        return await asyncio.to_thread(settings_file.read, tree, path)

    async def write_settings(self, body: Any) -> dict[str, Any]:
        """Write keys into the project's mesh.toml, and start the server again.

        Raises:
            BadInput, NotConfigured: nothing is written.
            InvalidSettings, CantRewrite, ChangedSince, SettingsElsewhere: as their texts say.
        """
        if not isinstance(body, dict):
            raise BadInput("The body must be a JSON object.", detail="body")
        keys, revision = settings_file.parse_keys(body)
        async with self._changing:
            tree, path, pyproject = await self._settings_place()
            await asyncio.to_thread(
                settings_file.write, tree, path, keys, revision, pyproject=pyproject
            )
        self.enqueue("start")
        return await asyncio.to_thread(settings_file.read, tree, path)

    async def _settings_place(self) -> tuple[Tree, str, str]:
        """Return the tree, the path of mesh.toml in it, and the text of pyproject.toml."""
        config = self._configured()
        tree = await self._workplace.tree()
        project = await asyncio.to_thread(toolbox.read_project, tree, config)
        path = toolbox.joined(config.path, settings_file.NAME)
        return tree, path, project.files.get("pyproject.toml", "")

    async def environment(self) -> dict[str, str]:
        """Return the environment of the project's programs, configured or not.

        Raises:
            NotReady, GitFailed: the working folder is not available.
        """
        config = self.config or Config()
        project, folder = await self._look(config)
        return toolbox.project_env(config, project, folder)

    # The steps

    async def _work(self) -> None:
        try:
            while (queue := self.queue.begin()).running is not None:
                self.queue = queue
                await self._run_steps(queue.running)
                self.queue = Queue(None, self.queue.waiting)
        finally:
            self.queue = Queue()

    async def _run_steps(self, first: Step) -> None:
        step = first
        try:
            for step in steps_from(first):
                await self.server.end()
                if step in (first, "install") and step != "clone":
                    await self._boot.begin()
                await self._run_step(step)
        except AppError as exc:
            self._fail(step, str(exc), hint=exc.hint)
        except asyncio.CancelledError:
            self._fail(step, "It was cancelled.")
            raise
        except Exception:
            logger.exception("setup: unexpected error in the step %s, ending the setup", step)
            self._fail(step, "Unexpected error; see the sandbox's log for details.")

    async def _run_step(self, step: Step) -> None:
        config = self._configured()
        if step == "clone":
            await self._clone(config)
        elif step == "install":
            await self._install(config)
        else:
            project, folder = await self._look(config)
            await self.server.start(config, project, folder)

    def _fail(self, step: Step, reason: str, *, hint: str = "") -> None:
        self._boot.abandon()
        self._events.log("setup", f"{FAILED[step]}: {reason}\n")
        self.phases.enter(FAILED[step], reason=reason, **({"hint": hint} if hint else {}))

    async def _clone(self, config: Config) -> None:
        if self._checkout.must_clone(config.clone_url):
            self.phases.enter("cloning")
        elif self._to_branch:
            self.phases.enter("checking-out", to=config.branch)
        await self._checkout.change(
            config.clone_url,
            config.branch,
            to_branch=self._to_branch,
            identity=(config.user_name, config.user_email),
            say=lambda text: self._events.log("setup", f"{text}\n"),
        )
        self._to_branch = False

    async def _install(self, config: Config) -> None:
        project, folder = await self._look(config)
        commands = install_commands(project, make_venv=launch.python("-m", "venv"))
        if not commands:
            return
        mark = toolbox.fingerprint(config, project)
        if await asyncio.to_thread(toolbox.is_installed, self._root, folder, mark):
            self._events.log("setup", "The project's dependencies are already installed.\n")
            return
        self.phases.enter("installing")
        env = toolbox.project_env(config, project, folder)
        for command in commands:
            argv = toolbox.resolved(command, folder)
            if argv is None:
                raise StepFailed(f"{command[0]} is not installed on this machine.")
            await self._run_install(
                task_spec("install", argv, env, config, shown_as=command, is_of_setup=True)
            )
        await asyncio.to_thread(toolbox.note_installed, self._root, mark)
        await self._boot.note()

    async def _run_install(self, command: TaskSpec) -> None:
        task = await self._tasks.start(command)
        try:
            await task.done.wait()
        except asyncio.CancelledError:
            await task.kill(intended=True)
            raise
        if task.status != "exited":
            raise StepFailed(f"{command.command} ended with {task.status}, code {task.exit_code}.")

    async def _look(self, config: Config) -> tuple[Project, Path]:
        """Return the project as it is now, and its folder."""
        tree = await self._workplace.tree()
        project = await asyncio.to_thread(toolbox.read_project, tree, config)
        return project, tree.base / config.path

    def _configured(self) -> Config:
        if (config := self.config) is None:
            raise NotConfigured
        return config
