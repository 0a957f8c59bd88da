import sqlite3
from pathlib import Path

import psycopg
import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from mesh.database_errors import DATABASE_AWAY, AnyDatabaseError, is_away, unavailable

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "is_of_them"),
    [
        (OperationalError, True),
        (InterfaceError, True),
        (IntegrityError, False),
        (DataError, False),
        (ProgrammingError, False),
    ],
)
def test_which_errors_say_that_the_database_is_away(error, is_of_them):
    assert issubclass(error, DATABASE_AWAY) is is_of_them
    assert issubclass(error, AnyDatabaseError)


def raised(kind, cause=None):
    error = kind("why")
    error.__cause__ = cause
    return error


def sqlite(name):
    cause = sqlite3.OperationalError("why")
    cause.sqlite_errorcode = getattr(sqlite3, name)
    return cause


CAUSES = [
    pytest.param(OperationalError, None, "store_not_ready", id="no connection, so no cause"),
    pytest.param(InterfaceError, None, "store_not_ready", id="the connection is closed"),
    pytest.param(OperationalError, sqlite("SQLITE_BUSY"), "store_not_ready", id="SQLite is locked"),
    pytest.param(OperationalError, sqlite("SQLITE_IOERR_WRITE"), "store_not_ready", id="I/O error"),
    pytest.param(OperationalError, sqlite("SQLITE_FULL"), "disk_full", id="SQLite's disk is full"),
    pytest.param(OperationalError, sqlite("SQLITE_ERROR"), None, id="wrong SQL is a bug"),
    pytest.param(
        OperationalError, psycopg.errors.AdminShutdown(), "store_not_ready", id="restarted"
    ),
    pytest.param(
        OperationalError, psycopg.errors.DiskFull(), "disk_full", id="PostgreSQL's disk is full"
    ),
    pytest.param(
        OperationalError, psycopg.errors.StatementTooComplex(), None, id="beyond its limits"
    ),
    pytest.param(IntegrityError, None, None, id="the work itself is wrong"),
]


@pytest.mark.parametrize(("kind", "cause", "code"), CAUSES)
def test_what_outsiders_are_told(kind, cause, code):
    error = raised(kind, cause)

    told = unavailable(error)

    assert (told.code if told else None) == code
    assert is_away(error) is (code is not None)
    if told:
        assert (told.status, told.retry_after > 0) == (503, True)


def test_no_other_module_lists_them_by_name():
    for app in ("mesh", "links", "agents", "sandboxes", "threads"):
        for path in (ROOT / app).rglob("*.py"):
            words = set(path.read_text().replace("(", " ").replace(",", " ").split())
            # "sandboxes.daemon" knows sqlite3 only, and Django's errors by no name.
            if path.name != "database_errors.py":
                assert not words & {"InterfaceError", "OperationalError"}, path
