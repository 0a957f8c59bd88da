"""Periodic housekeeping of runs, journals and used tickets inside a server that runs alone.

Where several servers run, Celery does it (tasks.py), and each server watches only for work that
no worker takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from django.utils import timezone

from mesh import database_pool, disk, single_use
from mesh.database_errors import DATABASE_AWAY
from sandboxes import services as sandboxes
from threads import services

logger = logging.getLogger(__name__)

SWEEP_EVERY: Final = 60.0  # seconds
WATCH_EVERY: Final = 10.0  # seconds
PURGE_PAUSE: Final = 0.05  # seconds between two batches, in which others write


async def sweep() -> None:
    """Do all the housekeeping once."""
    for work in (
        services.end_stuck_runs,
        services.expire_queued_runs,
        services.forget_background,
        services.prune_events,
        services.prune_unsent,
        single_use.forget_expired,
    ):
        if count := await database_pool.heavy.run(work, now=timezone.now()):
            logger.info("sweeper: %s: %d", work.__name__, count)
    await purge()


async def watch() -> None:
    """Look once for runs that no worker takes, and for sandboxes without a thread."""
    for work in (services.mark_unassigned_runs, services.end_unassigned_runs):
        if count := await database_pool.heavy.run(work, now=timezone.now()):
            logger.warning(
                "sweeper: no worker takes runs; check that the Celery worker is up: %s: %d",
                work.__name__,
                count,
            )
    await sandboxes.remove_orphans()


async def purge() -> None:
    """Remove the rows of deleted threads whose time is up, and their sandboxes."""
    total = 0
    for _ in range(services.BATCHES):
        count = await database_pool.heavy.run(services.purge_deleted, now=timezone.now())
        if not count:
            break
        total += count
        await asyncio.sleep(PURGE_PAUSE)
    if total:
        logger.info("sweeper: purge_deleted: %d rows", total)
    for _ in range(services.BATCHES):
        if not await database_pool.heavy.run(disk.free_pages):
            break
        await asyncio.sleep(PURGE_PAUSE)
    if removed := await sandboxes.remove_orphans():
        logger.info("sweeper: removed sandboxes of deleted threads: %d", removed)


async def sweep_periodically(*, every: float = SWEEP_EVERY) -> None:
    """Run ``sweep`` every so many seconds, as long as the server runs."""
    await _repeat(sweep, every)


async def watch_periodically(*, every: float = WATCH_EVERY) -> None:
    """Run ``watch`` every so many seconds, as long as the server runs."""
    await _repeat(watch, every)


async def _repeat(work: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await work()
        except DATABASE_AWAY:
            logger.warning(
                "sweeper: the database is unavailable; retrying in %.0f s", every, exc_info=True
            )
        except Exception:
            logger.exception("sweeper: %s failed; retrying in %.0f s", work.__name__, every)
        await asyncio.sleep(every)
