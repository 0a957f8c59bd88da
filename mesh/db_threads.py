"""Database work of an event loop: a few threads with connections of their own, which stay open.

``sync_to_async`` would open a connection for each call and close it again, which costs more
than what is done with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, connections

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThreads:
    """``count`` threads at most; they start with the first ``run`` and end with ``close``."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``work(*args, **kwargs)``, done in a thread that may use the database."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
        call = partial(_with_a_good_connection, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """End the threads and their connections; the next ``run`` starts new ones. Blocks."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        together = threading.Barrier(self._count)  # so that each thread gets one, and none two

        def leave() -> None:
            together.wait(timeout=60)
            connections.close_all()

        for future in [executor.submit(leave) for _ in range(self._count)]:
            future.result()
        executor.shutdown()


def _with_a_good_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except (DatabaseError, InterfaceError):
        # The database may have been restarted: the next one connects anew.
        connections.close_all()
        raise
