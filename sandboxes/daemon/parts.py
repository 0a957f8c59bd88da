"""What a sandbox does beside agents' runs: files, tasks. Loaded when it is first asked for.

Most sandboxes only run agents; twenty of them on a laptop should not hold what they don't use.
"""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute

from sandboxes.daemon.files import routes as file_routes
from sandboxes.daemon.tasks import routes as task_routes
from sandboxes.daemon.tasks.tasks import Tasks
from sandboxes.daemon.workplace import Checkout, Workplace


class Parts:
    """All of them, over one working folder."""

    def __init__(self, root: Path, checkout: Checkout) -> None:
        self.workplace = Workplace(checkout, root / "repo")
        self.tasks = Tasks(self.workplace, root / "tmp")

    def routes(self, prefix: str) -> list[BaseRoute]:
        """Return the routes of all parts."""
        return [
            *file_routes.routes(prefix, self.workplace),
            *task_routes.routes(prefix, self.tasks),
        ]

    @property
    def is_idle(self) -> bool:
        """Say whether nothing goes on that somebody may want to see the end of."""
        self.tasks.reap()
        return not self.tasks.running

    async def stop(self) -> None:
        """End every task; the working folder stays as it is."""
        await self.tasks.kill_all(intended=True)
