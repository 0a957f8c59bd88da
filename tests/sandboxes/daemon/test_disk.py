"""Which errors say that the disk is full."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from sandboxes.daemon.disk import DiskFull, JournalBroken, broken_by, is_full


def of_sqlite(code):
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (of_sqlite(sqlite3.SQLITE_FULL), True),
        (of_sqlite(sqlite3.SQLITE_IOERR), False),
        (sqlite3.OperationalError("without a code"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("disk is full"), False),
    ],
)
def test_it_says_that_the_disk_is_full(error, full):
    assert is_full(error) is full


def test_why_the_journal_is_broken():
    assert type(broken_by(of_sqlite(sqlite3.SQLITE_FULL))) is DiskFull
    assert type(broken_by(of_sqlite(sqlite3.SQLITE_IOERR))) is JournalBroken
    assert "as SQLite says" in str(broken_by(of_sqlite(sqlite3.SQLITE_IOERR)))
