import sqlite3

import pytest

from mesh import checkpoints
from mesh.checkpoints import ShortWal
from tests.waiting import auntil


@pytest.fixture
def database(tmp_path):
    """A database whose own checkpoints are switched off, with one row in its WAL."""
    db = sqlite3.connect(tmp_path / "db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE note (text)")
    yield db
    db.close()


def moved(path):
    """Whether the file itself, without its WAL, has the table."""
    return b"CREATE TABLE note" in path.read_bytes()


async def test_a_long_wal_is_moved_into_the_file(database, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(checkpoints, "SHORT", 0)
    assert not moved(tmp_path / "db")
    wal = ShortWal(tmp_path / "db")

    wal.start()

    await auntil(lambda: moved(tmp_path / "db"))
    wal.stop()


async def test_a_short_one_is_left_alone(database, tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.001)
    wal = ShortWal(tmp_path / "db")
    monkeypatch.setattr(wal, "start", lambda: (looks.append(1), ShortWal.start(wal)))

    wal.start()

    await auntil(lambda: len(looks) > 3)
    wal.stop()
    assert not moved(tmp_path / "db")


async def test_no_wal_is_no_trouble(tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.001)
    wal = ShortWal(tmp_path / "nothing")
    monkeypatch.setattr(wal, "start", lambda: (looks.append(1), ShortWal.start(wal)))

    wal.start()

    await auntil(lambda: len(looks) > 2)
    wal.stop()
