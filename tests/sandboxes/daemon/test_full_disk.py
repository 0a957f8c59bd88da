"""A disk that is full: every run ends, with the reason, and nothing that was stored is lost."""

from __future__ import annotations

import sqlite3

import pytest

from tests.sandboxes.daemon.sandbox import Refused, is_alive, read_until, text_of
from tests.waiting import auntil


@pytest.fixture
def full(tmp_path):
    """As long as there is this file, the disk takes nothing."""
    return tmp_path / "full"


@pytest.fixture
def sandbox(make_sandbox, full):
    return make_sandbox(env={"TEST_FULL_DISK": str(full), "TEST_CHECK_EVERY": "0.05"})


def stored(sandbox):
    """Return how many events the journal on the disk has, and whether every run has ended."""
    with sqlite3.connect(f"file:{sandbox.root / 'journal.db'}?mode=ro", uri=True) as db:
        (count,) = db.execute("SELECT COUNT(*) FROM event").fetchone()
        (unfinished,) = db.execute("SELECT COUNT(*) FROM run WHERE done_n IS NULL").fetchone()
    db.close()
    return count, not unfinished


def codes(events):
    return [body["code"] for _, body in events if body["type"] == "error"]


async def test_a_run_at_work_ends_with_the_reason(sandbox, full, tmp_path):
    go = tmp_path / "go"
    steps = (["pid"], ["wait_for", str(go)], ["say", "lost"], ["forever"])
    async with sandbox.dispatch("r1", *steps) as events:
        seen = await read_until(events, "text-delta")
        program = int(text_of(seen))
        full.touch()
        go.touch()
        seen += [event async for event in events]

    assert codes(seen) == ["disk_full"]
    assert [n for n, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][1]["type"] == "done"
    await auntil(lambda: not is_alive(program))
    assert await sandbox.replay("r1") == seen


async def test_what_the_disk_did_not_take_is_stored_when_there_is_room(sandbox, full, tmp_path):
    go = tmp_path / "go"
    async with sandbox.dispatch("r1", ["say", "kept"], ["wait_for", str(go)]) as events:
        seen = await read_until(events, "text-delta")
        full.touch()
        go.touch()
        seen += [event async for event in events]
    assert stored(sandbox)[0] < len(seen)
    full.unlink()
    await auntil(lambda: stored(sandbox) == (len(seen), True))
    sandbox.kill()
    sandbox.start()

    assert await sandbox.replay("r1") == seen


async def test_nothing_is_begun_that_can_t_be_kept(sandbox, full):
    full.touch()
    with pytest.raises(Refused) as refused:
        await sandbox.run("r1", ["say", "hello"])
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    full.unlink()

    assert text_of(await sandbox.run("r1", ["say", "hello"])) == "hello"


async def test_a_stop_holds(sandbox, full):
    async with sandbox.dispatch("r1", ["say", "on"], ["forever"]) as events:
        await read_until(events, "text-delta")
        full.touch()
        reply = await sandbox.cancel("r1")
        last = [body async for _, body in events][-1]

    assert (reply.status_code, last) == (204, {"type": "done"})
    full.unlink()
    with pytest.raises(Refused) as refused:
        await sandbox.run("r1", ["say", "again"], fence=2)
    assert refused.value.code == "tombstoned"
