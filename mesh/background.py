"""Tasks that nobody awaits: kept from garbage collection, and their failures are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from mesh.lib.backoff import Backoff

logger = logging.getLogger(__name__)
T = TypeVar("T")

# The event loop itself keeps only a weak reference to a task.
_running: set[asyncio.Task[Any]] = set()


def run_in_background(work: Coroutine[Any, Any, T], *, what: str) -> asyncio.Task[T]:
    """Start ``work`` and return its task; an exception is logged as "``what`` failed"."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)

    def on_done(task: asyncio.Task[T]) -> None:
        _running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed: %r", what, error, exc_info=error)

    task.add_done_callback(on_done)
    return task


async def keep_running(
    work: Callable[[], Awaitable[T]],
    *,
    what: str,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> T:
    """Run ``work`` until it returns, and return its result; if it raises, log and start again."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except Exception:
            wait = backoff.next()
            logger.exception("%s failed; restarting in %.1f s", what, wait)
        await sleep(wait)
