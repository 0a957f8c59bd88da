import asyncio
import sqlite3

import pytest

from sandboxes.daemon import checkpoints
from sandboxes.daemon.frames import Row
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import Writer


@pytest.fixture
async def writer(journal):
    writer = Writer(journal)
    yield writer
    await writer.close()


@pytest.fixture
def stream(journal):
    return RunStream(journal, journal.open_run("r1", 1, thread_id="t", harness="plain"))


def size_of_wal(journal):
    return journal.path.with_name("journal.db-wal").stat().st_size


async def commit_without_rest(writer, stream, times):
    """Commit one small event after another."""
    for _ in range(times):
        writer.put(stream, {"type": "ui-message-chunk", "chunk": {"type": "start-step"}})
        writer.flush()
        await asyncio.sleep(0)


async def test_the_wal_is_emptied_under_small_events_that_never_rest(
    journal, writer, stream, monkeypatch
):
    monkeypatch.setattr(checkpoints, "EVERY", 100_000)
    monkeypatch.setattr(checkpoints, "TOO_LONG", 200_000)
    sizes = [0]

    while size_of_wal(journal) >= max(sizes):  # it only grows until it is emptied
        sizes.append(size_of_wal(journal))
        await commit_without_rest(writer, stream, 1)

    assert max(sizes) >= 100_000


async def test_a_commit_after_a_checkpoint_that_was_enough_holds_nobody(
    journal, writer, stream, monkeypatch
):
    monkeypatch.setattr(checkpoints, "EVERY", 1)
    held = []
    monkeypatch.setattr(journal, "checkpoint", lambda: held.append(1))

    await commit_without_rest(writer, stream, 2)
    await writer.checkpoints.settled()
    await commit_without_rest(writer, stream, 1)

    assert held == []


async def test_what_is_deleted_counts_too(journal, writer, monkeypatch):
    begun = []
    monkeypatch.setattr(checkpoints, "EVERY", size_of_wal(journal) + 1)
    monkeypatch.setattr(writer.checkpoints, "_checkpoint", lambda: begun.append(1))
    run = journal.open_run("r1", 1, thread_id="t", harness="plain")
    journal.append([Row(run.key, 1, b"x" * 10_000)])

    writer.checkpoints.look()
    await writer.checkpoints.settled()

    assert begun == [1]


async def test_a_reader_of_another_program_keeps_no_checkpoint_waiting(journal, monkeypatch):
    monkeypatch.setattr("sandboxes.daemon.journal.HOLD", 1)
    reader = sqlite3.connect(journal.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM run").fetchall()
    journal.open_run("r1", 1, thread_id="t", harness="plain")

    journal.checkpoint()

    assert size_of_wal(journal) > 0
    reader.close()
    journal.checkpoint()
    assert size_of_wal(journal) == 0
