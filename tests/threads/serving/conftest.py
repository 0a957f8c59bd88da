"""A dispatcher for a laptop's runs, and for what is watched there."""

from __future__ import annotations

import pytest_asyncio

from mesh import database_pool
from tests.threads.doubles import BackgroundSandbox
from tests.threads.looking import LookingDispatcher
from threads.journal.writer import Writer


@pytest_asyncio.fixture
async def serve(link):
    """Return ``serve(sandbox)``: a dispatcher for Ada's laptop; ended with the test.

    ``links`` says which machines are connected; Ada's is, unless a ``BackgroundSandbox`` is away.
    """
    writer = Writer()
    writer.start()
    dispatchers = []

    async def start(sandbox, *, node="A", links=None):
        def connected():
            is_away = isinstance(sandbox, BackgroundSandbox) and sandbox.is_away
            return set() if is_away else {link.pk}

        dispatcher = LookingDispatcher(
            provider_for=lambda kind, harness: sandbox,
            writer=writer,
            node=node,
            links=links or connected,
            look_every=0.05,
        )
        await dispatcher.start()
        dispatchers.append(dispatcher)
        return dispatcher

    yield start
    for dispatcher in dispatchers:
        await dispatcher.stop()
    writer.stop()
    database_pool.close()
