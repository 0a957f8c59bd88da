"""Naming a thread after its first message, beside the run that answers it.

The answer never waits for the name. A name that is lost, because the process ends or the model
fails, is sought again by the thread's next messages (``context.NAMED_WITHIN``).
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

# By thread: a second message while the first name is being sought asks for none.
_under_way: dict[str, asyncio.Task[None]] = {}


def begin(naming: Naming, *, thread_id: str, run_id: str) -> asyncio.Task[None] | None:
    """Have the thread named in a task of its own; ``None`` where that is under way already."""
    if thread_id in _under_way:
        return None
    task = asyncio.create_task(_name(naming, run_id), name=f"naming {thread_id}")
    _under_way[thread_id] = task
    task.add_done_callback(lambda _: _under_way.pop(thread_id, None))
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
        # A thread whose name is the beginning of its message is as good to work in.
        logger.info("run %s: its thread got no name: %s", run_id, type(exc).__name__)
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
        logger.warning("run %s: the name of its thread was not kept", run_id, exc_info=True)
