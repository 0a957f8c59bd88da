from pathlib import Path

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from mesh.database_errors import DATABASE_AWAY, AnyDatabaseError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (OperationalError, True),
        (InterfaceError, True),
        (IntegrityError, False),
        (DataError, False),
        (ProgrammingError, False),
    ],
)
def test_which_errors_say_that_the_database_is_away(error, is_away):
    assert issubclass(error, DATABASE_AWAY) is is_away
    assert issubclass(error, AnyDatabaseError)


def test_no_other_module_lists_them_by_name():
    for app in ("mesh", "links", "agents", "sandboxes", "threads"):
        for path in (ROOT / app).rglob("*.py"):
            words = set(path.read_text().replace("(", " ").replace(",", " ").split())
            # "sandboxes.daemon" knows sqlite3 only, and Django's errors by no name.
            if path.name != "database_errors.py":
                assert not words & {"InterfaceError", "OperationalError"}, path
