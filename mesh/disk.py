"""Giving disk space back that deleted rows of a SQLite database took.

SQLite keeps the pages of deleted rows for later ones and never shrinks its file by itself. A file
with ``auto_vacuum=INCREMENTAL`` shrinks when it is asked to, piece by piece. ``migrate`` gives that
to a new file; an older one has to be rebuilt once (``manage.py mesh_compact``). PostgreSQL has its
autovacuum.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import connection, connections
from django.db.models.signals import pre_migrate

PAGES_AT_ONCE: Final = 1_000  # some 4 MB, and 20 ms in which nobody else writes
RESERVE: Final = 2_000  # pages that stay free for the next rows
_INCREMENTAL: Final = 2


def free_pages() -> int:
    """Give a limited number of a SQLite database's unused pages back; return how many.

    Call it again until it returns 0. Not for use inside a transaction.
    """
    if connection.vendor != "sqlite" or not can_shrink():
        return 0
    unused = _pragma("freelist_count")
    spare = min(unused - RESERVE, PAGES_AT_ONCE)
    if spare <= 0:
        return 0
    # A page is freed with each step of the statement. The driver's ``execute`` makes one step,
    # because the rows have no columns; a script runs to its end.
    with connection.wrap_database_errors:
        connection.connection.executescript(f"PRAGMA incremental_vacuum({spare})")
    return max(unused - _pragma("freelist_count"), 0)


def connect() -> None:
    """Have each new SQLite file made so that it can shrink."""
    pre_migrate.connect(_prepare, dispatch_uid="mesh.disk")


def _prepare(*, using: str, **_: Any) -> None:
    """Rebuild a file without tables, which takes a moment.

    Not with each connection: the setting is written into the file each time, so that a connection
    would wait for whoever writes.
    """
    new = connections[using]
    if new.vendor != "sqlite" or new.introspection.table_names():
        return
    with new.cursor() as cursor:
        cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        cursor.execute("VACUUM")


def can_shrink() -> bool:
    """Say whether the SQLite file can be made smaller without being rebuilt."""
    return _pragma("auto_vacuum") == _INCREMENTAL


def rebuild() -> None:
    """Write the whole SQLite file anew, without unused pages, so that it can shrink from then on.

    It needs as much free disk again as the file has, and nobody else may use the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()


def _pragma(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return int(cursor.fetchone()[0])
