"""What a server process does for links all the time: deadlines, and sockets that are due to close.

The same functions may run in any number of processes at once, and as tasks of a worker.
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

EVERY: Final = 2.0  # so that who was put out is gone within five seconds

Judge = Callable[[Collection[Held]], Awaitable[None]]


class Upkeep:
    """Runs beside the requests of a server process, from its start to its end."""

    def __init__(
        self, *, judge: Judge, listener: Listener | None = None, every: float = EVERY
    ) -> None:
        self._judge = judge
        self._listener = listener
        self._every = every
        self._began = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Mark the machines of this process's former self offline, then begin, once."""
        if self._began:
            return
        self._began = True
        if self._listener is not None:
            await self._listener.start()  # before the first machine is claimed
        began = timezone.now()
        try:
            await database_pool.presence.run(services.forget_former, before=began)
        except DATABASE_AWAY as exc:
            # Their deadlines do it within half a minute.
            logger.warning(
                "links: previous process's links stay online until their deadlines; database"
                " unavailable: %s",
                exc,
            )
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._listener is not None:
            await self._listener.stop()

    async def once(self) -> None:
        """Look at every deadline, and at the row of every socket that is held here."""
        await database_pool.presence.run(services.expire)
        if connections := held_machines.all_of_them():
            await self._judge(connections)

    async def _go_on(self) -> None:
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
