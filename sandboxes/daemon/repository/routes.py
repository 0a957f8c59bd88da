"""The routes of the repository, and its branch among the events while there are readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.harness.base import BadInput
from mesh.background import run_in_background
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import quote, unquote
from sandboxes.daemon.events import Events
from sandboxes.daemon.fields import fields_of
from sandboxes.daemon.git import Git
from sandboxes.daemon.repository import hook_tasks
from sandboxes.daemon.repository.hook_tasks import Environment
from sandboxes.daemon.repository.publish import Nested, Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.repository.state import UNKNOWN
from sandboxes.daemon.repository.take_along import take_along
from sandboxes.daemon.setup.errors import AgentAtWork
from sandboxes.daemon.tasks.tasks import Tasks
from sandboxes.daemon.working_folder import NotReady, Workplace

CHECK_EVERY = 5.0  # seconds
MOST_PATHS = 1000
NAME_LIMIT = 250  # characters


class RepositoryRoutes:
    """Each handler parses its request and calls the repository once, on a worker thread."""

    def __init__(
        self,
        workplace: Workplace,
        root: Path,
        events: Events,
        tasks: Tasks,
        must_clone: Callable[[], bool],
        has_runs: Callable[[], bool],
        environment: Environment,
        folder: str,
    ) -> None:
        """``environment`` returns the variables of the project's programs.

        ``folder`` is the person's own, whose worktree this is; empty if there is none.
        """
        self._workplace, self._root, self._events = workplace, root, events
        self._must_clone, self._has_runs = must_clone, has_runs
        self._tasks, self._environment, self._folder = tasks, environment, folder
        self._one_at_a_time = asyncio.Lock()
        self._changing = asyncio.Lock()  # a hook may take minutes: others read meanwhile
        self._watching: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()

    def routes(self, prefix: str) -> list[Route]:
        return [
            Route(f"{prefix}/git/status", self.status, methods=["GET"]),
            Route(f"{prefix}/git/diff", self.diff, methods=["GET"]),
            Route(f"{prefix}/git/discard", self.discard, methods=["POST"]),
            Route(f"{prefix}/git/rebase", self.rebase, methods=["POST"]),
            Route(f"{prefix}/git/publish", self.publish, methods=["POST"]),
            Route(f"{prefix}/git/take-along", self.take_along, methods=["POST"]),
        ]

    async def status(self, request: Request) -> Response:
        return JSONResponse(await self.ask(_state_of))

    async def diff(self, request: Request) -> Response:
        return JSONResponse(await self.ask(Repository.diff))

    async def discard(self, request: Request) -> Response:
        body = await fields_of(request)
        paths = body.list_of_texts("paths", most=MOST_PATHS)
        done = await self.change(partial(Repository.discard, paths=paths))
        self.look_soon()
        for path in paths:
            self._events.publish_changed(unquote(path))
        return JSONResponse(done)

    async def rebase(self, request: Request) -> Response:
        body = await fields_of(request)
        if self._has_runs():
            raise AgentAtWork("An agent is working in the folder, so it can't be rebased now.")
        if body.flag("abort"):
            done = await self.change(Repository.abort_rebase)
        else:
            base = body.text("base", most=NAME_LIMIT)
            done = await self.change(partial(Repository.rebase, base=base))
        self.look_soon()
        return JSONResponse(done)

    async def publish(self, request: Request) -> Response:
        body = await fields_of(request)
        message = body.text("message", "", most=10_000)
        if "\0" in message:
            raise BadInput("message must not contain a NUL.", detail="message")
        options = Options(
            message,
            replaces=body.flag("replace"),
            skips_hooks=body.flag("skipHooks"),
            is_unsigned=body.flag("unsigned"),
            nested=cast(Nested, body.choice("nested", "", "leave", "include")),
        )
        done = await self._publish(options)
        self.look_soon()
        return JSONResponse(done)

    async def _publish(self, options: Options) -> dict[str, object]:
        """Publish; the hooks are tasks of this loop, so other requests are served meanwhile."""
        async with self._changing:
            repository = await self._repository()
            run = hook_tasks.runner(self._tasks, self._environment, str(repository.top))
            return await asyncio.to_thread(repository.publish, options, run)

    async def take_along(self, request: Request) -> Response:
        """Copy the uncommitted changes of the person's folder into its worktree."""
        if not self._folder:
            raise NotReady("The working folder is not a worktree of your folder.")
        tree = await self._workplace.tree()
        async with self._changing, self._one_at_a_time:
            call = partial(take_along, Path(self._folder), tree, self._root, Git())
            done = await asyncio.to_thread(call)
        self.look_soon()
        for path in done["taken"]:
            self._events.publish_changed(unquote(path))
        return JSONResponse(done)

    def look_soon(self) -> None:
        """Publish the branch now, and again while there are readers."""
        self._soon.set()
        if self._watching is None or self._watching.done():
            self._watching = run_in_background(self._watch(), what="watching the branch")

    def stop(self) -> None:
        """Stop publishing the branch."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while self._events.has_readers:
            self._soon.clear()
            try:
                meta = (await self.ask(Repository.facts)).meta()
            except AppError:
                meta = UNKNOWN
            self._events.publish_branch(meta)
            try:
                async with asyncio.timeout(CHECK_EVERY):
                    await self._soon.wait()
            except TimeoutError:
                pass  # no change was reported: check whether there is one

    async def ask(self, call: Callable[[Repository], Any]) -> Any:
        """Return the result of ``call`` on the repository.

        Raises:
            NotReady: there is no repository yet.
            ForeignGit: its git directory is not the one that Mesh made.
        """
        async with self._one_at_a_time:
            repository = await self._repository()
            return await asyncio.to_thread(call, repository)

    async def change(self, call: Callable[[Repository], Any]) -> Any:
        """Return the same as ``ask``, for a ``call`` that changes files or branches."""
        async with self._changing:
            return await self.ask(call)

    async def _repository(self) -> Repository:
        if self._must_clone():
            raise NotReady(notReady=True)
        tree = await self._workplace.tree()
        return await asyncio.to_thread(Repository, tree, self._root)


def _state_of(repository: Repository) -> dict[str, Any]:
    facts = repository.facts()
    return {
        **facts.meta(),
        **repository.files(facts),
        "changedByStart": [quote(change.path) for change in facts.by_start],
        "submodules": [state.as_json() for state in repository.submodules()],
    }
