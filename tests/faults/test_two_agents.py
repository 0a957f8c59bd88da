"""Two agents never work in one folder and session, whatever the server has lost sight of."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from mesh.children import HAS_PROC
from tests.sandboxes.daemon.sandbox import Sandbox, read_words, text_of
from tests.waiting import auntil

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not HAS_PROC, reason="needs /proc")]


@pytest.fixture
def sandbox(tmp_path):
    sandbox = Sandbox(tmp_path / "sandbox").start()
    yield sandbox
    sandbox.close()


def agents_in(folder):
    """Return the pids of the programs that work in ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")) == folder:
                found.append(int(entry.name))
    return found


class Watch:
    """Looks all the time how many agents there are at once."""

    def __init__(self, folder):
        self.folder, self.most = folder, 0

    async def look(self):
        while True:
            self.most = max(self.most, len(agents_in(self.folder)))
            await asyncio.sleep(0)


async def begin(sandbox, number, *, harness):
    """Dispatch a run that never ends by itself, and leave it to itself, as a lost server does."""
    steps = [["ask", "q"]] if harness == "plain" else [["pid"], ["forever"]]
    async with sandbox.dispatch(f"r{number}", *steps, harness=harness) as events:
        await anext(events)


@pytest.mark.parametrize("harness", ["plain", "deaf"])
async def test_two_agents_in_one_folder(sandbox, harness):
    """Runs that the server gave up on, and a stop of whatever waits for them to end."""
    watch = Watch(sandbox.root / "repo")
    watching = asyncio.create_task(watch.look())
    await begin(sandbox, 0, harness=harness)
    await auntil(lambda: agents_in(watch.folder))
    for number in (1, 2, 3):
        await begin(sandbox, number, harness=harness)
        await sandbox.cancel(f"r{number}")
    async with sandbox.dispatch("last", ["pid"], ["until_told"]) as events:
        [pid] = map(int, text_of(await read_words(events, 1)).split())
        assert agents_in(watch.folder) == [pid]
    watching.cancel()

    assert watch.most == 1
