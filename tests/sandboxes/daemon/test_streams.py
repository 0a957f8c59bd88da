"""Readers with a cursor: nothing skipped, nothing twice, from memory or from the journal."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxes.core.sse import SseReader
from sandboxes.daemon import streams
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import Writer
from tests.examples import up_to


@pytest.fixture
def stream(journal):
    return RunStream(journal, journal.open_run("r1", 1, thread_id="t", harness="plain"))


async def read_all(stream, after=0):
    got = []
    async with stream.reader(after) as reader:
        while block := await reader.next():
            got += [int(event.id) for event in SseReader().feed(block)]
    return got


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=up_to(25),
)
@given(count=st.integers(0, 40), after=st.integers(0, 41), tail=st.integers(1, 3000))
def test_any_cursor_and_any_memory(tmp_path_factory, count, after, tail):
    async def scenario():
        journal = Journal(tmp_path_factory.mktemp("j") / "journal.db")
        stream = RunStream(journal, journal.open_run("r1", 1, thread_id="t", harness="h"))
        writer = Writer(journal)
        for n in range(count):
            writer.put(stream, {"type": "note", "n": n})
            writer.flush()
        writer.finish(stream)
        got = await read_all(stream, after)
        journal.close()
        return got

    before, streams.TAIL_BYTES = streams.TAIL_BYTES, tail
    try:
        assert asyncio.run(scenario()) == list(range(after + 1, count + 2))
    finally:
        streams.TAIL_BYTES = before


async def test_many_readers_at_different_speeds_get_the_same(journal, stream):
    writer = Writer(journal)
    reading = [asyncio.create_task(read_all(stream)) for _ in range(5)]
    for n in range(500):
        writer.put(stream, {"type": "note", "n": n})
        if n % 7 == 0:
            await asyncio.sleep(0)
    writer.finish(stream)

    assert await asyncio.gather(*reading) == [list(range(1, 502))] * 5


async def test_a_quiet_stream_says_that_it_lives(stream, monkeypatch):
    monkeypatch.setattr(streams, "PING_EVERY", 0.01)

    async with stream.reader(0) as reader:
        assert await reader.next() == b": ping\n\n"
        assert await reader.next() == b": ping\n\n"


async def test_a_reader_that_is_closed_ends(stream):
    async with stream.reader(0) as reader:
        reading = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        reader.close()

        assert await reading == b""
