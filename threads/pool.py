"""Database work of the event loop: a few threads with connections of their own.

Every reader of a stream waiting in a thread of its own, as ``sync_to_async`` would have it,
would hold one connection each; here a thousand readers share two.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 2

_executor: ThreadPoolExecutor | None = None


async def run(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``work(*args, **kwargs)``, done in a thread that may use the database."""
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(THREADS, thread_name_prefix="threads-db")
    call = partial(_with_a_good_connection, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_executor, call)


def _with_a_good_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except (DatabaseError, InterfaceError):
        # The database may have been restarted: the next one connects anew.
        connections.close_all()
        raise


def close() -> None:
    """End the threads and their connections; the next ``run`` starts new ones."""
    global _executor
    executor, _executor = _executor, None
    if executor is None:
        return
    together = threading.Barrier(THREADS)  # so that each thread gets one, and none gets two

    def leave() -> None:
        together.wait(timeout=60)
        connections.close_all()

    for future in [executor.submit(leave) for _ in range(THREADS)]:
        future.result()
    executor.shutdown()
