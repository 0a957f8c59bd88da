"""Which database errors are worth a retry."""

from __future__ import annotations

import sqlite3
import sys
from typing import Final

from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError

from mesh.lib.errors import AppError, DiskFull, StoreNotReady

__all__ = ["DATABASE_AWAY", "AnyDatabaseError", "is_away", "unavailable", "unavailable_now"]

# The database is unreachable or busy, and the same work may succeed later. All other errors mean
# that the work itself is wrong. Drivers raise the first for a closed connection, the second for
# one that breaks, can't be opened, or has waited too long for a lock.
DATABASE_AWAY: Final = (InterfaceError, OperationalError)

# SQLite raises OperationalError for wrong SQL too; these result codes are about its file.
_SQLITE_AWAY: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_TOO_COMPLEX: Final = "54"  # PostgreSQL's class of what is beyond its limits
_DISK_FULL: Final = "53100"


def is_away(exc: BaseException) -> bool:
    """Return whether the database was away or busy, so that the same work may succeed later."""
    if not isinstance(exc, DATABASE_AWAY):
        return False
    result = _sqlite_result(exc)
    if result is not None:
        return result in _SQLITE_AWAY
    return not _sqlstate(exc).startswith(_TOO_COMPLEX)


def unavailable(exc: BaseException) -> AppError | None:
    """Return what outsiders are told of an error of the database; ``None`` where it is a bug."""
    if not is_away(exc):
        return None
    if _sqlite_result(exc) == sqlite3.SQLITE_FULL or _sqlstate(exc) == _DISK_FULL:
        return DiskFull()
    return StoreNotReady()


def unavailable_now() -> AppError | None:
    """Return the same of the exception that is being handled, as Django's error views do."""
    error = sys.exc_info()[1]
    return unavailable(error) if error is not None else None


def _sqlite_result(exc: BaseException) -> int | None:
    extended = getattr(exc.__cause__, "sqlite_errorcode", None)
    return extended & 0xFF if isinstance(extended, int) else None


def _sqlstate(exc: BaseException) -> str:
    return str(getattr(exc.__cause__, "sqlstate", None) or "")
