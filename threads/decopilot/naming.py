"""Naming a thread after its first message, beside the run that answers it.

The answer never waits for the name. If the process ends or the model fails, the thread's next
messages try again (``context.NAMED_WITHIN``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

from mesh import database_pool
from threads import services
from threads.decopilot.context import Naming
from threads.decopilot.engines import open_engine, spent_by

logger = logging.getLogger(__name__)

# By thread: a second message does not start another task while the first one runs.
_tasks: dict[str, asyncio.Task[None]] = {}


def begin(naming: Naming, *, thread_id: str, run_id: str) -> asyncio.Task[None] | None:
    """Start a task that names the thread, and return it; ``None`` if one is already running."""
    if thread_id in _tasks:
        return None
    task = asyncio.create_task(_name(naming, run_id), name=f"naming {thread_id}")
    _tasks[thread_id] = task
    task.add_done_callback(lambda _: _tasks.pop(thread_id, None))
    return task


async def _name(naming: Naming, run_id: str) -> None:
    title = ""
    spent: dict[str, Any] = {}
    try:
        engine = await open_engine(naming.chosen)
        try:
            title = await engine.title(naming.text)
        finally:
            spent = spent_by(engine)
            await engine.close()
    except Exception as exc:
        # Not worth a warning: the thread keeps the start of its message as its name.
        logger.info("run %s: the model gave its thread no name: %s", run_id, type(exc).__name__)
    if not title and not spent:
        return
    try:
        await database_pool.writes.run(
            services.name_thread,
            run_id=UUID(run_id),
            before=naming.before,
            title=title,
            spent=spent,
        )
    except Exception:
        logger.warning("run %s: the name of its thread could not be stored", run_id, exc_info=True)
