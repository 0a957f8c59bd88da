import sqlite3
import threading
from contextlib import contextmanager

import pytest

from mesh import wal
from mesh.wal import WalKeeper
from tests.waiting import auntil


def connect(path):
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA wal_autocheckpoint=0")
    return db


@pytest.fixture
def database(tmp_path):
    """A database whose own checkpoints are switched off, with one row in its WAL."""
    db = connect(tmp_path / "db")
    db.execute("CREATE TABLE note (text)")
    yield db
    db.close()


@pytest.fixture
def keeper(tmp_path, monkeypatch):
    monkeypatch.setattr(wal, "LOOK_EVERY", 0.001)
    keeper = WalKeeper(tmp_path / "db")
    yield keeper
    keeper.stop()


def moved(path):
    """Whether the file itself, without its WAL, has the table."""
    return b"CREATE TABLE note" in path.read_bytes()


def beginning(path):
    """The number that SQLite gave the WAL when it last began to overwrite it."""
    return path.with_name(f"{path.name}-wal").read_bytes()[12:16]


@contextmanager
def working(*works):
    """Do each of ``works`` again and again, in a thread of its own, until the block ends."""
    is_over = threading.Event()

    def repeat(work):
        while not is_over.is_set():
            work()

    threads = [threading.Thread(target=repeat, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


async def test_a_long_wal_is_moved_into_the_file(database, keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(wal, "SHORT", 0)
    assert not moved(tmp_path / "db")

    keeper.start()

    await auntil(lambda: moved(tmp_path / "db"))


async def test_a_short_one_is_left_alone(database, keeper, tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(keeper, "start", lambda: (looks.append(1), WalKeeper.start(keeper)))

    keeper.start()

    await auntil(lambda: len(looks) > 3)
    assert not moved(tmp_path / "db")


async def test_no_wal_is_no_trouble(keeper, monkeypatch):
    looks = []
    monkeypatch.setattr(keeper, "start", lambda: (looks.append(1), WalKeeper.start(keeper)))

    keeper.start()

    await auntil(lambda: len(looks) > 2)


async def test_the_wal_is_overwritten_while_writer_and_readers_never_pause(
    database, keeper, tmp_path, monkeypatch
):
    monkeypatch.setattr(wal, "SHORT", 0)
    monkeypatch.setattr(wal, "TOO_LONG", 64 * 1024)
    one, other = connect(tmp_path / "db"), connect(tmp_path / "db")
    first = beginning(tmp_path / "db")

    def write():
        database.execute("INSERT INTO note VALUES (?)", ["x" * 1000])

    def read():  # each begins before the other has ended
        for db, last in ((one, other), (other, one)):
            db.execute("BEGIN")
            db.execute("SELECT 1 FROM note LIMIT 1").fetchall()
            if last.in_transaction:
                last.execute("COMMIT")

    with working(write, read):
        keeper.start()
        await auntil(lambda: beginning(tmp_path / "db") != first)
    one.close()
    other.close()


async def test_a_reader_that_stays_is_logged_and_does_not_block_writers_for_long(
    database, keeper, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(wal, "SHORT", 0)
    monkeypatch.setattr(wal, "TOO_LONG", 0)
    monkeypatch.setattr(wal, "HOLD", 0.01)
    reader = connect(tmp_path / "db")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM note").fetchall()
    database.execute("INSERT INTO note VALUES ('new')")

    keeper.start()

    await auntil(lambda: "while a transaction is open; will retry in 10 s" in caplog.text)
    database.execute("INSERT INTO note VALUES ('newer')")
    reader.close()


async def test_a_wal_that_keeps_growing_is_tried_again_before_the_pause_ends(
    database, keeper, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(wal, "SHORT", 0)
    monkeypatch.setattr(wal, "TOO_LONG", 64 * 1024)
    monkeypatch.setattr(wal, "HOLD", 0.01)
    monkeypatch.setattr(wal, "HOLD_AGAIN", 3600.0)
    reader = connect(tmp_path / "db")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM note").fetchall()

    with working(lambda: database.execute("INSERT INTO note VALUES (?)", ["x" * 1000])):
        keeper.start()
        await auntil(lambda: caplog.text.count("while a transaction is open") > 1)
    reader.close()
