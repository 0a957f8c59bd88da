"""Pools of workers that do the event loop's database work, one pool for each kind of work.

A worker is an OS thread with its own connection, which stays open. ``sync_to_async`` would
open and close one for each call, which costs more than most calls do. Work that waits for
one pool never delays another:

- ``heartbeats``: leases and deadlines that must be renewed in time. Short statements only.
- ``presence``: machines that connect and disconnect, and their deadlines.
- ``rights``: checks whether people and machines may connect, or stay connected.
- ``reads``: everything that reads and computes little.
- ``writes``: everything else that writes. SQLite has one writer at a time: a second worker
  would only wait for its lock.
- ``heavy``: folding answers, encoding attached files, and maintenance of many rows at a time.

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
        call = partial(_with_good_connection, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """End the workers and their connections; the next ``run`` starts new ones. Blocks."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        together = threading.Barrier(self.size)  # so that each worker runs exactly one ``leave``

        def leave() -> None:
            together.wait(timeout=60)
            connections.close_all()

        for future in [executor.submit(leave) for _ in range(self.size)]:
            future.result()
        executor.shutdown()


def _with_good_connection(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except AnyDatabaseError:
        # The database may have been restarted: the next call reconnects.
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
    """Close every pool. Blocks until running work has ended."""
    for pool in POOLS.values():
        pool.close()
