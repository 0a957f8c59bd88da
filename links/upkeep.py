"""A server process's periodic work for links: deadlines, and sockets that must be closed.

The same functions may run concurrently in any number of processes, and as tasks of a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from django.utils import timezone

from links import held_machines, services
from links.held_machines import Held
from links.internal.listener import Listener
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

EVERY: Final = 2.0  # seconds, so that a revoked machine is disconnected within five

Judge = Callable[[Collection[Held]], Awaitable[None]]


class Upkeep:
    """Runs beside the requests of a server process, from ``start`` to ``stop``."""

    def __init__(
        self, *, judge: Judge, listener: Listener | None = None, every: float = EVERY
    ) -> None:
        self._judge = judge
        self._listener = listener
        self._every = every
        self._is_started = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Mark the machines that the previous process held offline, then start, once."""
        if self._is_started:
            return
        self._is_started = True
        if self._listener is not None:
            await self._listener.start()  # before the first machine is claimed
        started_at = timezone.now()
        try:
            await database_pool.presence.run(services.release_previous, before=started_at)
        except DATABASE_AWAY as exc:
            # Their deadlines mark them offline within half a minute.
            logger.warning(
                "links: previous process's links stay online until their deadlines; database"
                " unavailable: %s",
                exc,
            )
        self._task = asyncio.create_task(self._run_periodically())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._listener is not None:
            await self._listener.stop()

    async def once(self) -> None:
        """Check every deadline, and the row of every socket that this process holds."""
        await database_pool.presence.run(services.expire)
        if connections := held_machines.list_connections():
            await self._judge(connections)

    async def _run_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once()
            except DATABASE_AWAY as exc:
                logger.warning(
                    "links: upkeep retries in %.0f s; database unavailable: %s", self._every, exc
                )
            except Exception:
                logger.exception("links: upkeep failed; retrying in %.0f s", self._every)
