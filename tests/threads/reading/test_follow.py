"""Following a journal: no gap and no repeat, whatever happens to the notifications."""

from __future__ import annotations

import asyncio
import random

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh import database_pool
from tests.examples import up_to
from tests.stuck import stuck
from tests.waiting import PATIENCE
from threads.journal import rows
from threads.journal.rows import Draft, EventRow
from threads.reading import follow, notifications


@pytest_asyncio.fixture
async def closing():
    yield
    database_pool.close()


async def take(stream, count):
    """Return the numbers of the next ``count`` events."""
    seqs = []
    while len(seqs) < count:
        batch = await asyncio.wait_for(anext(stream), timeout=PATIENCE)
        seqs += [row.seq for row in batch]
    return seqs


def append(thread, count=1):
    return rows.append(thread.pk, [Draft({"type": "x"})] * count)


@pytest.mark.django_db(transaction=True)
async def test_rows_first_then_what_comes(thread, closing):
    await sync_to_async(append)(thread, 3)
    stream = follow.follow(thread.pk, 1)
    assert await take(stream, 2) == [2, 3]

    written = await sync_to_async(append)(thread, 2)
    notifications.publish_rows(written)

    assert await take(stream, 2) == [4, 5]
    await stream.aclose()


@pytest.mark.django_db(transaction=True)
async def test_rows_are_read_while_large_answers_are_folded(thread, closing):
    await sync_to_async(append)(thread, 2)
    stream = follow.follow(thread.pk, 0)

    async with stuck(database_pool.heavy):
        assert await take(stream, 2) == [1, 2]

    await stream.aclose()


@pytest.mark.django_db(transaction=True)
async def test_more_than_one_page_of_rows(thread, closing, monkeypatch):
    monkeypatch.setattr(follow, "BATCH", 10)
    await sync_to_async(append)(thread, 35)
    stream = follow.follow(thread.pk, 0)

    assert await take(stream, 35) == list(range(1, 36))
    await stream.aclose()


@pytest.mark.django_db(transaction=True)
async def test_long_events_come_in_batches_that_a_slow_reader_gets_through(thread, closing):
    long = [Draft({"type": "x", "text": "x" * (follow.SIZE // 2)})] * 5
    stream = follow.follow(thread.pk, 0)
    await sync_to_async(rows.append)(thread.pk, long)

    batches = [await anext(stream) for _ in range(3)]

    assert [[row.seq for row in batch] for batch in batches] == [[1, 2], [3, 4], [5]]
    await stream.aclose()


@pytest.mark.django_db(transaction=True)
async def test_a_lost_notification_is_made_up_for(thread, closing):
    stream = follow.follow(thread.pk, 0, look_every=0.05)
    assert await anext(stream) == []
    await sync_to_async(append)(thread, 2)

    assert await take(stream, 2) == [1, 2]
    await stream.aclose()


@pytest.mark.django_db(transaction=True)
async def test_a_reader_that_left_is_forgotten(thread, closing):
    stream = follow.follow(thread.pk, 0, look_every=0.01)
    await anext(stream)
    assert notifications.of_thread(thread.pk) in notifications._subscribers
    await stream.aclose()

    assert notifications.of_thread(thread.pk) not in notifications._subscribers


def short(count):
    return [EventRow("t", seq, None, "{}") for seq in range(1, count + 1)]


LONG = EventRow("t", 1, None, "x" * (notifications.SIZE + 1))


@pytest.mark.parametrize(
    "deliveries",
    [
        pytest.param([short(notifications.COPIES), short(1)], id="too many"),
        pytest.param([short(1), [LONG], short(1)], id="too long"),
    ],
)
async def test_a_slow_subscriber_keeps_no_more_than_its_limit(deliveries):
    with notifications.subscribe("t") as subscriber:
        for copies in deliveries:
            subscriber.take(copies)
        assert len(subscriber._copies) == 0
        assert await subscriber.wait(0) == []  # look for yourself

        subscriber.take(short(1))
        assert await subscriber.wait(0) == short(1)


class Table:
    """The journal's rows, in memory; counts from 1."""

    def __init__(self):
        self.rows = []

    def grow(self, thread_id, count):
        start = len(self.rows) + 1
        new = [EventRow(thread_id, seq, None, "{}") for seq in range(start, start + count)]
        self.rows += new
        return new

    def list_events(self, *, thread_id, after, limit, size):
        return self.rows[after : after + limit]


STEPS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["ring", "lose", "twice", "late", "empty"])),
    max_size=25,
)


@settings(
    max_examples=up_to(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, seed=st.integers(), starts=st.lists(st.integers(0, 30), max_size=3))
async def test_no_gap_and_no_repeat_however_notifications_arrive(monkeypatch, steps, seed, starts):
    """Notifications are lost, doubled, late or without copies; readers start anywhere."""
    table, chance, thread_id = Table(), random.Random(seed), "t"
    monkeypatch.setattr(follow, "list_events", table.list_events)
    monkeypatch.setattr(follow, "BATCH", 4)
    total = sum(count for count, _ in steps)

    async def in_place(work, **given):
        await asyncio.sleep(0)
        return work(**given)

    monkeypatch.setattr(database_pool.reads, "run", in_place)

    async def read(after):
        seen = []
        stream = follow.follow(thread_id, after, look_every=0.001)
        async for batch in stream:
            seen += [row.seq for row in batch]
            if not seen or seen[-1] < total:
                continue
            break
        await stream.aclose()
        return seen

    cursors = [0, *(min(start, total) for start in starts)]
    readers = [asyncio.ensure_future(read(after)) for after in cursors if after < total]
    late = []
    for count, how in steps:
        new = table.grow(thread_id, count)
        calls = {"ring": [new], "lose": [], "twice": [new, new], "late": [], "empty": [[]]}[how]
        if how == "late":
            late.append(new)
        elif late and chance.random() < 0.5:
            calls = [*calls, late.pop()]
        for copies in calls:
            notifications._publish_here({notifications.of_thread(thread_id): copies})
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*readers)

    for after, numbers in zip([c for c in cursors if c < total], seen, strict=True):
        assert numbers == list(range(after + 1, total + 1))
