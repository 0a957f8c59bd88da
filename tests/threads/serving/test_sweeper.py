"""The sweep inside a server that runs alone."""

import pytest
from django.db import InterfaceError

from mesh import database_pool
from tests.waiting import auntil
from threads import services
from threads.serving import sweeper


async def quiet():
    pass


@pytest.fixture
def sweeps(monkeypatch):
    """What was done, by name; the first look at stuck runs finds the store down."""
    done = []

    def note(name):
        def work(*, now):
            done.append(name)
            if done == ["end_stuck_runs"]:
                raise InterfaceError("connection already closed")
            return 1

        work.__name__ = name
        return work

    works = ("end_stuck_runs", "expire_queued_runs", "forget_background", "prune_events")
    for name in (*works, "prune_unsent"):
        monkeypatch.setattr(services, name, note(name))
    monkeypatch.setattr(sweeper, "purge", quiet)
    yield done
    database_pool.close()


async def test_it_does_everything_and_outlives_a_failure(sweeps):
    import asyncio

    task = asyncio.create_task(sweeper.sweep_periodically(every=0.01))
    await auntil(lambda: "prune_events" in sweeps)
    task.cancel()

    order = ["end_stuck_runs", "expire_queued_runs", "forget_background", "prune_events"]
    assert sweeps[:5] == ["end_stuck_runs", *order]


@pytest.fixture
def purging(monkeypatch):
    """What is purged, batch by batch, and which sandboxes are removed after it."""
    counts, calls = iter([1_000, 7, 0]), []

    def purge_deleted(*, now):
        calls.append("batch")
        return next(counts)

    async def remove_orphans():
        calls.append("sandboxes")
        return 0

    monkeypatch.setattr(services, "purge_deleted", purge_deleted)
    monkeypatch.setattr(sweeper.sandboxes, "remove_orphans", remove_orphans)
    monkeypatch.setattr(sweeper.disk, "free_pages", lambda: calls.append("pages"))
    monkeypatch.setattr(sweeper, "PURGE_PAUSE", 0)
    yield calls
    database_pool.close()


async def test_deleted_threads_are_purged_until_nothing_is_due(purging):
    await sweeper.purge()

    assert purging == ["batch", "batch", "batch", "pages", "sandboxes"]


async def test_a_huge_purge_leaves_the_sweeper_time_for_other_things(purging, monkeypatch):
    monkeypatch.setattr(services, "BATCHES", 2)

    await sweeper.purge()

    assert purging == ["batch", "batch", "pages", "sandboxes"]
