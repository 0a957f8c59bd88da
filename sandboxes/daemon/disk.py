"""What is said when the machine's disk takes nothing more."""

from __future__ import annotations

import errno
import sqlite3

from mesh.lib.errors import AppError


class JournalBroken(AppError):
    """The journal can't be written."""

    code = "journal_broken"
    text = "The sandbox could not write its journal."
    hint = "Check whether this machine's disk is full."
    status = 507


class DiskFull(JournalBroken):
    code = "disk_full"
    text = "The disk of the machine is full."
    hint = "Free some space on that machine; then send the message again."


def is_full(exc: BaseException) -> bool:
    """Return whether the error says that the disk, or the person's share of it, is full."""
    if isinstance(exc, sqlite3.Error):
        return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)


def broken_by(exc: sqlite3.Error) -> JournalBroken:
    """Return why the journal could not be written."""
    if is_full(exc):
        return DiskFull()
    return JournalBroken(f"The sandbox could not write its journal: {exc}.")
