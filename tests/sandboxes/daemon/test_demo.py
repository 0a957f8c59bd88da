"""End to end with the real demo adapter and its real program."""

from __future__ import annotations

import pytest

from tests.sandboxes.daemon.sandbox import chunks_of, is_alive, kinds_of, text_of
from tests.waiting import auntil

pytestmark = pytest.mark.programs


async def run(sandbox, run_id, text, **options):
    return await sandbox.run(run_id, harness="demo", text=text, model="demo:fast", **options)


async def test_it_says_what_it_is(sandbox):
    events = await run(sandbox, "r1", "hello")

    kinds = kinds_of(events)
    assert "demo" in text_of(events).lower()
    assert (kinds[0], kinds[-2:]) == ("start", ["finish", "done"])
    assert chunks_of(events)[0]["messageId"] == f"{sandbox.scope}r1"


async def test_it_runs_a_command_in_the_sandbox_s_folder(sandbox):
    events = await run(sandbox, "r1", "run echo $PWD > here.txt; cat here.txt")

    repo = sandbox.root / "repo"
    outputs = [c["output"] for c in chunks_of(events) if c["type"] == "tool-output-available"]
    assert str(repo) in str(outputs[-1])
    assert (repo / "here.txt").read_text().strip() == str(repo)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_it_asks_and_obeys(sandbox, decision):
    options = {"harness": "demo", "text": "ask", "model": "demo:fast"}
    async with sandbox.dispatch("r1", **options) as events:
        seen = []
        async for event in events:
            seen.append(event)
            if question := event[1].get("approval"):
                approval_id = question["approvalId"]
                reply = await sandbox.answer("r1", approvalId=approval_id, decision=decision)
                assert reply.status_code == 204

    assert kinds_of(seen).count("approval-applied") == 1
    assert ("tool-output-available" in kinds_of(seen)) is (decision == "allow")
    assert kinds_of(seen)[-2:] == ["finish", "done"]


async def test_stopping_it_while_it_runs_a_command(sandbox):
    options = {"harness": "demo", "text": "run echo $$; sleep 600", "model": "demo:fast"}
    async with sandbox.dispatch("r1", **options) as events:
        seen = []
        while "tool-output-available" not in kinds_of(seen):
            seen.append(await anext(events))
        await sandbox.cancel("r1")
        seen += [event async for event in events]

    pid = int(next(c["output"] for c in chunks_of(seen) if "output" in c))
    await auntil(lambda: not is_alive(pid))
    assert kinds_of(seen)[-3:] == ["abort", "finish", "done"]


async def test_its_failure_is_a_failure(sandbox):
    kinds = kinds_of(await run(sandbox, "r1", "fail"))

    assert kinds.count("error") == 2  # the run's, and the one that people read
    assert kinds[-1] == "done"
    assert kinds.count("finish") == 1
