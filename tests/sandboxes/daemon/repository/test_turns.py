"""What a thread's last turn changed, asked of a real sandbox."""

from __future__ import annotations

import pytest

from tests.sandboxes.daemon.sandbox import read_words

pytestmark = pytest.mark.programs


async def test_a_turn_s_changes_are_told_while_it_runs_and_after_it(sandbox, repo):
    async with sandbox.dispatch("r1", ["say", "hello "], ["until_told"]) as events:
        await read_words(events, 1)
        (repo / "a.txt").write_text("one\nmore\n")
        during = (await sandbox.get("/git/turn?thread=thread-1")).json()
        await sandbox.cancel("r1")
        [event async for event in events]
    (repo / "b.txt").write_text("the person's, later\n")
    after = (await sandbox.get("/git/turn?thread=thread-1")).json()
    changed = [{"path": "a.txt", "status": "M", "added": 1, "removed": 0}]
    assert (during["isOver"], during["files"]) == (False, changed)
    assert (after["isOver"], after["runId"], after["files"]) == (True, "r1", changed)
    assert "+more\n" in after["diff"]


async def test_a_thread_without_a_turn_has_no_changes_of_one(sandbox):
    refused = await sandbox.get("/git/turn?thread=nobody")
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "no_checkpoint"
    assert (await sandbox.get("/git/turn")).status_code == 400
