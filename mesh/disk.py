"""Frees the disk space of deleted rows of a SQLite database.

SQLite keeps the pages of deleted rows for new ones and never shrinks its file on its own. A file
with ``auto_vacuum=INCREMENTAL`` shrinks on request, piece by piece. ``migrate`` makes new files
that way; an older one has to be rebuilt once (``manage.py mesh_compact``). PostgreSQL has
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
    """Free a limited number of a SQLite database's unused pages; return how many.

    Call it again until it returns 0. Not for use inside a transaction.
    """
    if connection.vendor != "sqlite" or not can_shrink():
        return 0
    unused = _pragma("freelist_count")
    spare = min(unused - RESERVE, PAGES_AT_ONCE)
    if spare <= 0:
        return 0
    # Each step of the statement frees one page. The driver's ``execute`` makes a single step,
    # because the rows have no columns; a script runs to its end.
    with connection.wrap_database_errors:
        connection.connection.executescript(f"PRAGMA incremental_vacuum({spare})")
    return max(unused - _pragma("freelist_count"), 0)


def connect() -> None:
    """Make each new SQLite file so that it can shrink."""
    pre_migrate.connect(_prepare, dispatch_uid="mesh.disk")


def _prepare(*, using: str, **_: Any) -> None:
    """Rebuild a file without tables, which takes a moment.

    Not with each connection: that would write the setting into the file each time, and wait for
    any other writer.
    """
    new = connections[using]
    if new.vendor != "sqlite" or new.introspection.table_names():
        return
    with new.cursor() as cursor:
        cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        cursor.execute("VACUUM")


def can_shrink() -> bool:
    """Return whether the SQLite file can shrink without being rebuilt."""
    return _pragma("auto_vacuum") == _INCREMENTAL


def rebuild() -> None:
    """Rewrite the whole SQLite file without unused pages, so that it can shrink from then on.

    It needs free disk space of the file's size, and no other process may use the database.
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
