"""Looks after runs and journals inside a server that runs alone; else Celery does (tasks.py)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from threads import pool, services

logger = logging.getLogger(__name__)

EVERY: Final = 60.0  # seconds


async def sweep() -> None:
    """Look once at everything there is to look after."""
    for work in (
        services.end_stuck_runs,
        services.expire_queued_runs,
        services.prune_events,
        services.prune_unsent,
    ):
        if count := await pool.run(work, now=timezone.now()):
            logger.info("%s: %s", work.__name__, count)


async def sweep_for_ever(*, every: float = EVERY) -> None:
    """Look again and again; runs as long as the server."""
    while True:
        try:
            await sweep()
        except (DatabaseError, InterfaceError):
            logger.warning("Runs can't be looked after: the store is down.", exc_info=True)
        except Exception:
            logger.exception("Looking after runs failed; it goes on.")
        await asyncio.sleep(every)
