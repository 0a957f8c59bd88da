"""A pytest plugin: the migrations run once, and each process of the tests gets a copy.

They take longer than a hundred tests. A copy is only made of a file that these very migrations
have made; ``migrate`` looks at it again all the same. PostgreSQL is migrated each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "build" / "databases"
KEPT = 5  # one for each branch that is worked on


@pytest.fixture(scope="session")
def migrated_once(django_db_use_migrations, django_db_modify_db_settings):
    """Have the test's SQLite database begin as a copy of one that is migrated already."""
    from django.db import connection

    kind = type(connection.creation)
    if connection.vendor != "sqlite" or not django_db_use_migrations:
        yield
        return
    create = kind.create_test_db

    def create_test_db(self, *, keepdb=False, **options):
        name = Path(self._get_test_db_name())
        if keepdb or self.is_in_memory_db(str(name)):
            return create(self, keepdb=keepdb, **options)
        template = FOLDER / f"{digest()}.sqlite3"
        with made_by_one(template):
            copied = copy(template, name)
            created = create(self, keepdb=copied, **options)
            if not copied:
                save(self.connection, template)
        return created

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kind, "create_test_db", create_test_db)
        yield


def sources() -> list[Path]:
    """Return the files that decide how a new database looks: all migrations, and two of ours."""
    from django.db.migrations.loader import MigrationLoader

    from mesh import disk, settings

    migrations = MigrationLoader(None).disk_migrations.values()
    modules = [disk, settings, *(sys.modules[each.__module__] for each in migrations)]
    return sorted(Path(each.__file__) for each in modules)


def digest() -> str:
    """Return what changes with the sources, their names, Django and SQLite."""
    import django

    read = [(str(each), hashlib.sha256(each.read_bytes()).hexdigest()) for each in sources()]
    made = repr((django.VERSION, sqlite3.sqlite_version, read))
    return hashlib.sha256(made.encode()).hexdigest()[:32]


@contextlib.contextmanager
def made_by_one(template: Path):
    """While there is no template, let one process after the other into the block."""
    if template.exists():
        yield
        return
    template.parent.mkdir(parents=True, exist_ok=True)
    with template.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy(template: Path, name: Path) -> bool:
    """Put a copy of ``template`` at ``name``; return False where there is none."""
    for ending in ("", "-wal", "-shm"):
        name.with_name(name.name + ending).unlink(missing_ok=True)
    try:
        name.write_bytes(template.read_bytes())
        os.utime(template)  # those that are used are kept
    except FileNotFoundError:
        name.unlink(missing_ok=True)
        return False
    return True


def save(connection, template: Path) -> None:
    """Keep a copy of the database as ``template``, whole or not at all; forget the oldest."""
    part = template.with_suffix(f".{os.getpid()}")
    with contextlib.closing(sqlite3.connect(part)) as copied:
        connection.connection.backup(copied)
    part.replace(template)
    newest = sorted(FOLDER.glob("*.sqlite3"), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in newest[KEPT:]:
        old.unlink(missing_ok=True)
        old.with_suffix(".lock").unlink(missing_ok=True)
