"""Looks after runs, journals and used tickets inside a server that runs alone.

Else Celery does (tasks.py), and servers look only after what no worker takes.
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

EVERY: Final = 60.0  # seconds
WATCH_EVERY: Final = 10.0
PURGE_PAUSE: Final = 0.05  # between two batches, in which others write


async def sweep() -> None:
    """Look once at everything there is to look after."""
    for work in (
        services.end_stuck_runs,
        services.expire_queued_runs,
        services.prune_events,
        services.prune_unsent,
        single_use.forget_expired,
    ):
        if count := await database_pool.heavy.run(work, now=timezone.now()):
            logger.info("%s: %s", work.__name__, count)
    await purge()


async def watch() -> None:
    """Look once whether workers take what is theirs."""
    for work in (services.tell_untaken_runs, services.end_untaken_runs):
        if count := await database_pool.heavy.run(work, now=timezone.now()):
            logger.warning("%s: %s. Does the worker run?", work.__name__, count)
    await sandboxes.remove_orphans()


async def purge() -> None:
    """Remove what is left of deleted threads whose time is up, and their sandboxes."""
    total = 0
    for _ in range(services.BATCHES):
        count = await database_pool.heavy.run(services.purge_deleted, now=timezone.now())
        if not count:
            break
        total += count
        await asyncio.sleep(PURGE_PAUSE)
    if total:
        logger.info("purge_deleted: %s rows", total)
    for _ in range(services.BATCHES):
        if not await database_pool.heavy.run(disk.free_pages):
            break
        await asyncio.sleep(PURGE_PAUSE)
    if removed := await sandboxes.remove_orphans():
        logger.info("removed %s sandboxes of deleted threads", removed)


async def sweep_for_ever(*, every: float = EVERY) -> None:
    """Look after everything; runs as long as the server."""
    await _for_ever(sweep, every)


async def watch_for_ever(*, every: float = WATCH_EVERY) -> None:
    """Look after the workers; runs as long as the server."""
    await _for_ever(watch, every)


async def _for_ever(look: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await look()
        except DATABASE_AWAY:
            logger.warning("Runs can't be looked after: the store is down.", exc_info=True)
        except Exception:
            logger.exception("Looking after runs failed; it goes on.")
        await asyncio.sleep(every)
