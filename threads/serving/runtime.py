"""The background tasks of a server process: the writer, the dispatcher, the notifications."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from links import selectors as links
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.wal import WalKeeper
from threads import services
from threads.core.executors import ALL, LINK
from threads.journal.writer import Writer
from threads.reading import notifications
from threads.serving.dispatcher import Dispatcher
from threads.serving.providers import provider_for
from threads.serving.sweeper import sweep_periodically, watch_periodically

# Seconds. Python's own 5 ms would delay a token whenever the writer's OS thread computes.
SWITCH_EVERY: Final = 0.0005


class Runtime:
    """Starts once per process: with the server's lifespan, or at its first request."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.dispatcher = Dispatcher(
            provider_for=provider_for,
            writer=self.writer,
            node=settings.MESH_NODE,
            # Where several servers run, agents' loops are the workers' (worker.py).
            executors=(LINK,) if settings.ENV.redis_url else ALL,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._wal: WalKeeper | None = None

    async def start(self) -> None:
        """Start everything, unless it is running."""
        if self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(SWITCH_EVERY)
        self.writer.start()
        self._relaying = asyncio.create_task(notifications.relay())
        if connection.vendor == "sqlite":
            self._wal = WalKeeper(Path(settings.DATABASES["default"]["NAME"]))
            self._wal.start()
        if settings.MESH_EMBEDDED:  # the only process: whichever holds a lease has died
            with contextlib.suppress(*DATABASE_AWAY):
                await database_pool.heartbeats.run(services.release_leases)
        await self.dispatcher.start()
        # Where several servers run, Celery does it (tasks.py), if there is a worker.
        housekeeping = watch_periodically if settings.ENV.redis_url else sweep_periodically
        self._sweeping = asyncio.create_task(housekeeping())

    async def stop(self) -> None:
        """Stop everything; what agents do meanwhile is read after the next start."""
        if self._loop is None:
            return
        self._loop = None
        await self.dispatcher.stop()
        for task in (self._sweeping, self._relaying):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._wal is not None:
            self._wal.stop()
        await asyncio.to_thread(self.writer.stop)
        await asyncio.to_thread(database_pool.close)


def ring_link(link_id: UUID) -> None:
    """Notify the pages of a machine's owner that its presence or abilities changed."""
    owner_id = links.find_owner(link_id=link_id)
    if owner_id is not None:
        notifications.publish(notifications.of_person(owner_id), ("links", ""))
