"""The sweep inside a server that runs alone."""

import pytest
from django.db import InterfaceError

from mesh import database_pool
from tests.waiting import auntil
from threads import services, sweeper


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

    for name in ("end_stuck_runs", "expire_queued_runs", "prune_events"):
        monkeypatch.setattr(services, name, note(name))
    yield done
    database_pool.close()


async def test_it_does_everything_and_outlives_a_failure(sweeps):
    import asyncio

    task = asyncio.create_task(sweeper.sweep_for_ever(every=0.01))
    await auntil(lambda: "prune_events" in sweeps)
    task.cancel()

    assert sweeps[:4] == ["end_stuck_runs", "end_stuck_runs", "expire_queued_runs", "prune_events"]
