"""A SQLite database gives back the disk space of what was deleted."""

import fcntl
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from mesh import disk
from mesh.develop import ROOT
from mesh.models import UsedTicket


@pytest.fixture
def deleted(transactional_db):
    """Many rows, all of which were deleted."""
    rows = [UsedTicket(digest=f"{n:064}", expires_at=timezone.now()) for n in range(2_000)]
    UsedTicket.objects.bulk_create(rows)
    UsedTicket.objects.all().delete()


def size():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()
    return Path(connection.settings_dict["NAME"]).stat().st_size


def test_the_file_shrinks_when_rows_are_deleted(deleted, monkeypatch):
    monkeypatch.setattr(disk, "RESERVE", 0)
    monkeypatch.setattr(disk, "PAGES_AT_ONCE", 50)
    if connection.vendor == "postgresql":
        assert disk.free_pages() == 0  # it does so by itself
        return
    before = size()

    counts = []
    while count := disk.free_pages():
        counts.append(count)

    assert max(counts) == 50
    assert len(counts) > 1
    assert size() <= before - sum(counts) * 4096


def test_some_pages_stay_for_the_next_rows(deleted, monkeypatch):
    monkeypatch.setattr(disk, "RESERVE", 10_000)

    assert disk.free_pages() == 0


def test_a_new_connection_waits_for_nobody_who_writes(transactional_db):
    UsedTicket.objects.create(digest="0" * 64, expires_at=timezone.now())

    with transaction.atomic(), ThreadPoolExecutor(1) as other:
        UsedTicket.objects.all().delete()
        assert other.submit(count_and_close).result() == 1


def count_and_close():
    try:
        return UsedTicket.objects.count()
    finally:
        connection.close()


def compact(home):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE", "REDIS"))}
    return subprocess.run(
        [sys.executable, "manage.py", "mesh_compact"],
        cwd=ROOT,
        env=env | {"MESH_HOME": str(home)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def old(tmp_path):
    """A database as older versions made it, most of which was deleted since."""
    path = tmp_path / "mesh.sqlite3"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE a (x)")
    db.executemany("INSERT INTO a VALUES (?)", [("x" * 1_000,)] * 5_000)
    db.executescript("DELETE FROM a; INSERT INTO a VALUES ('kept')")
    db.close()
    return path


@pytest.mark.programs
def test_an_older_database_is_rebuilt_once_and_can_shrink_then(old, tmp_path):
    before = old.stat().st_size

    done = compact(tmp_path)

    assert done.returncode == 0, done.stderr
    assert old.stat().st_size < before / 10
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert db.execute("SELECT x FROM a").fetchall() == [("kept",)]
    db.close()


@pytest.mark.programs
def test_a_mesh_that_runs_is_not_rebuilt_under_its_feet(old, tmp_path):
    before = old.stat().st_size
    with (tmp_path / "run.json").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = compact(tmp_path)

    assert refused.returncode == 1
    assert "Mesh is already running" in refused.stderr
    assert old.stat().st_size == before


@pytest.mark.programs
def test_where_there_is_no_database_it_says_so(tmp_path):
    refused = compact(tmp_path / "nothing")

    assert "There is no database" in refused.stderr
