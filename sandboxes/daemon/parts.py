"""What a sandbox offers besides agent runs: files, tasks, setup, preview. Loaded on first use.

Most sandboxes only run agents; twenty of them on a laptop should not hold what they don't use.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.routing import Router

from sandboxes.daemon.calls import Calls
from sandboxes.daemon.checkout.checkout import Checkout
from sandboxes.daemon.descendants import Marks
from sandboxes.daemon.events import Events
from sandboxes.daemon.files import routes as file_routes
from sandboxes.daemon.files.browse_routes import BrowseRoutes
from sandboxes.daemon.preview import routes as preview_routes
from sandboxes.daemon.preview.probe import Probe
from sandboxes.daemon.preview.proxy import Preview
from sandboxes.daemon.repository.boot import Boot
from sandboxes.daemon.repository.routes import RepositoryRoutes
from sandboxes.daemon.repository.watch import Watch
from sandboxes.daemon.setup import routes as setup_routes
from sandboxes.daemon.setup.setup import Setup
from sandboxes.daemon.tasks import routes as task_routes
from sandboxes.daemon.tasks.tasks import Tasks
from sandboxes.daemon.working_folder import Workplace

STOP_GRACE = 1.5  # seconds for a program to exit when the sandbox stops


class Parts:
    """All of these parts, over one working folder."""

    def __init__(
        self,
        prefix: str,
        root: Path,
        checkout: Checkout,
        *,
        boot_id: str,
        marks: Marks,
        runs: Callable[[], tuple[int, int]],
    ) -> None:
        """``runs`` returns how many runs are active, and how many were started so far."""
        self._prefix, self._boot_id, self._root = prefix, boot_id, root
        self._checkout = checkout
        self.workplace = Workplace(checkout, root / "repo")
        self.events = Events()
        self.calls = Calls(root, boot_id)
        self.tasks = Tasks(self.workplace, root / "tmp", marks)
        self.tasks.listeners.append(self.events)
        self.repository = RepositoryRoutes(
            self.workplace,
            root,
            self.events,
            self.tasks,
            must_clone=self._must_clone,
            has_runs=lambda: runs()[0] > 0,
            environment=lambda: self.setup.environment(),
            folder=checkout.folder,
        )
        self.boot = Boot(self.repository.ask, runs)
        self.tasks.listeners.append(self.boot)
        self.setup = Setup(
            root=root,
            checkout=checkout,
            workplace=self.workplace,
            boot=self.boot,
            tasks=self.tasks,
            events=self.events,
            has_runs=lambda: runs()[0] > 0,
        )
        self.probe = Probe(self.setup, self.events)
        self.preview = Preview(
            prefix,
            address=lambda: self.probe.address,
            phases=self.setup.phases,
            on_failure=self.probe.look_now,
        )
        self.probe.on_up = self.boot.settle_soon
        self.boot.on_noted = self.repository.look_soon
        self.watch = Watch(
            self.workplace,
            root,
            has_readers=lambda: self.events.has_readers,
            on_file=self.events.publish_changed,
            on_git=self.repository.look_soon,
        )
        self.events.on_reader = self._on_reader
        self.events.on_end_of_task = self.repository.look_soon
        checkout.on_made_again = self.setup.reinstall
        checkout.on_chosen = self.setup.retry
        self.setup.resume()

    def router(self) -> Router:
        """Return the routes of all parts; the preview takes every path that no other matches."""
        prefix, changing = self._prefix, threading.Lock()
        browse = BrowseRoutes(
            self.workplace, self._root, self.repository.ask, self._on_tool_change, changing
        )
        routes = [
            *file_routes.routes(prefix, self.workplace, self.calls, self._on_tool_change, changing),
            *browse.routes(prefix),
            *task_routes.routes(prefix, self.tasks, self.calls),
            *setup_routes.routes(prefix, self.setup, self.events, self._boot_id),
            *self.repository.routes(prefix),
            *preview_routes.routes(prefix, self.probe),
        ]
        return Router(routes, redirect_slashes=False, default=self.preview)

    def _on_reader(self) -> None:
        self.repository.look_soon()
        self.watch.begin()

    def _on_tool_change(self, path: str) -> None:
        self.boot.disturb()
        self.watch.note_published(path)
        self.events.publish_changed(path)

    def _must_clone(self) -> bool:
        config = self.setup.config
        return self._checkout.must_clone(config.clone_url if config else "")

    @property
    def is_idle(self) -> bool:
        """Whether no work is in progress; a dev server that nobody is looking at is no work."""
        self.tasks.reap()
        at_work = [task for task in self.tasks.running if not task.spec.is_server]
        return not (at_work or self.preview.open_sockets or self.setup.queue.running)

    def health(self) -> dict[str, Any]:
        """Return the fields that these parts add to ``/health``."""
        setup = self.setup.as_json()
        return {
            "ready": setup["ready"],
            "configured": self.setup.config is not None,
            "orchestrator": setup["orchestrator"],
            "phase": self.setup.phases.kind,
        }

    async def stop(self) -> None:
        """End every task; leave the working folder as it is: nothing is committed or pushed."""
        self.probe.stop()
        self.repository.stop()
        self.boot.stop()
        self.watch.stop()
        await self.setup.server.give_up()
        await asyncio.gather(
            self.setup.cancel(), self.tasks.kill_all(intended=True, grace=STOP_GRACE)
        )
        self.preview.close()
        self.events.close()
        self.calls.close()
