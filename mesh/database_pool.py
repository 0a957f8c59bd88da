"""Where the event loop's database work is done: pools of workers, each for one kind of work.

A worker is an OS thread with a connection of its own, which stays open. ``sync_to_async`` would
open one for each call and close it again, which costs more than most calls do. What waits for
one pool never delays another:

- ``heartbeats``: leases and deadlines that must be renewed in time. Short statements only.
- ``presence``: machines that come and go, and what is done about their deadlines.
- ``rights``: whether those who are connected, or want to be, still may.
- ``reads``: everything that reads and computes little.
- ``writes``: everything else that writes. SQLite has one writer at a time: a second worker
  would only wait for its lock.
- ``heavy``: what folds answers, encodes attached files, or looks after many rows at once.

Embedded, the database is SQLite, whose readers do not wait for a writer. On PostgreSQL the pools
of a process hold at most ``CONNECTIONS`` connections (``DATABASES`` in ``mesh/settings.py`` says
how many the process may have in all).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

from mesh.database_errors import AnyDatabaseError

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """At most ``size`` workers; they start with the first ``run`` and end with ``close``."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``work(*args, **kwargs)``, done by a worker, which may use the database."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.size, thread_name_prefix=f"db-{self.name}")
        call = partial(_with_a_good_connection, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """End the workers and their connections; the next ``run`` starts new ones. Blocks."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        together = threading.Barrier(self.size)  # so that each worker gets one, and none two

        def leave() -> None:
            together.wait(timeout=60)
            connections.close_all()

        for future in [executor.submit(leave) for _ in range(self.size)]:
            future.result()
        executor.shutdown()


def _with_a_good_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except AnyDatabaseError:
        # The database may have been restarted: the next call connects anew.
        connections.close_all()
        raise


# How many workers each pool has, with SQLite and with PostgreSQL.
SQLITE: Final = {"heartbeats": 1, "presence": 1, "rights": 1, "reads": 3, "writes": 1, "heavy": 2}
POSTGRESQL: Final = SQLITE | {"presence": 3, "writes": 2}
CONNECTIONS: Final = sum(POSTGRESQL.values())

POOLS: Final = {
    name: Pool(name, size)
    for name, size in (SQLITE if settings.MESH_EMBEDDED else POSTGRESQL).items()
}
heartbeats: Final = POOLS["heartbeats"]
presence: Final = POOLS["presence"]
rights: Final = POOLS["rights"]
reads: Final = POOLS["reads"]
writes: Final = POOLS["writes"]
heavy: Final = POOLS["heavy"]


def close() -> None:
    """Close every pool. Blocks until the work that is being done has ended."""
    for pool in POOLS.values():
        pool.close()
