"""What is gathered goes in one commit, in order, and is seen only afterwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from sandboxes.daemon.journal import Journal
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import JOIN_LIMIT, Writer


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.db", run_cap=1_000_000)
    yield journal
    journal.close()


@pytest.fixture
async def writer(journal):
    writer = Writer(journal)
    yield writer
    await writer.close()


def open_stream(journal, run_id="r1"):
    return RunStream(journal, journal.open_run(run_id, 1, thread_id="t", harness="plain"))


@pytest.fixture
def stream(journal):
    return open_stream(journal)


def delta(text, *, part="t", kind="text-delta"):
    return {"type": "ui-message-chunk", "chunk": {"type": kind, "id": part, "delta": text}}


def chunk(kind):
    return {"type": "ui-message-chunk", "chunk": {"type": kind}}


def stored(journal, stream):
    return [json.loads(raw) for _, raw in journal.read(stream.key, after=0)]


async def test_nothing_is_shown_before_it_is_stored(journal, writer, stream):
    writer.put(stream, delta("hi"))

    assert stream.read(0) == (b"", 0)
    writer.flush()
    assert stream.read(0)[1] == 1
    assert stored(journal, stream) == [delta("hi")]


async def test_it_waits_for_no_timer(journal, writer, stream):
    writer.put(stream, delta("hi"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert stream.last_n == 1


@pytest.mark.parametrize(
    ("put", "kept"),
    [
        pytest.param([delta("a"), delta("b")], [delta("ab")], id="one part"),
        pytest.param(
            [delta("a", kind="reasoning-delta"), delta("b", kind="reasoning-delta")],
            [delta("ab", kind="reasoning-delta")],
            id="reasoning",
        ),
        pytest.param([delta("a"), delta("b", part="u")], None, id="another part"),
        pytest.param([delta("a"), delta("b", kind="reasoning-delta")], None, id="another kind"),
        pytest.param([delta("a"), chunk("start-step"), delta("b")], None, id="something between"),
        pytest.param([chunk("start-step"), chunk("start-step")], None, id="no deltas"),
        pytest.param(
            [delta("x" * JOIN_LIMIT), delta("b"), delta("c")],
            [delta("x" * JOIN_LIMIT), delta("bc")],
            id="grown large",
        ),
    ],
)
async def test_joining(journal, writer, stream, put, kept):
    for body in put:
        writer.put(stream, body)
    writer.flush()

    assert stored(journal, stream) == (kept or put)


async def test_runs_are_not_joined_with_each_other(journal, writer, stream):
    other = open_stream(journal, "r2")
    for text in "ab":
        writer.put(stream, delta(text))
        writer.put(other, delta(text.upper()))
    writer.flush()

    assert stored(journal, stream) == [delta("ab")]
    assert stored(journal, other) == [delta("AB")]


async def test_nothing_follows_done(journal, writer, stream):
    writer.put(stream, delta("a"))
    writer.finish(stream)
    writer.put(stream, delta("late"))
    writer.finish(stream)
    writer.flush()

    assert stored(journal, stream) == [delta("a"), {"type": "done"}]
    assert stream.is_done
    assert journal.find_run("r1").done_n == 2


async def test_a_run_that_no_longer_fits_is_failed_and_the_others_continue(journal, writer, stream):
    other = open_stream(journal, "r2")
    errors = []
    stream.on_broken = errors.append
    writer.put(stream, delta("x" * 1_000_000))
    writer.put(other, delta("small"))
    writer.flush()

    assert [error.code for error in errors] == ["journal_full"]
    assert stored(journal, other) == [delta("small")]
    assert stored(journal, stream) == []

    writer.finish(stream)
    assert stored(journal, stream) == [{"type": "done"}]


async def test_an_unwritable_journal_is_reported(journal, writer, stream, monkeypatch):
    errors = []
    stream.on_broken = errors.append

    def full_disk(*args, **kwargs):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal, "append", full_disk)
    writer.put(stream, delta("a"))
    writer.flush()

    assert [error.code for error in errors] == ["journal_broken"]
    assert stream.read(0) == (b"", 0)


async def test_readers_get_an_end_that_can_t_be_written(writer, stream, journal, monkeypatch):
    def full_disk(*args, **kwargs):
        raise sqlite3.OperationalError("database or disk is full")

    async with stream.reader(0) as reader:
        monkeypatch.setattr(journal, "append", full_disk)
        writer.finish(stream)

        assert b'{"type":"done"}' in await reader.next()
        assert await reader.next() == b""
    assert [row.n for row in stream.unwritten] == [1]
    assert not journal.get_run(stream.run_id, stream.fence).is_done
