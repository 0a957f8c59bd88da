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
    # A sandbox that is slow ends the command before the agent does, and says so.
    kinds = [kind for kind in kinds_of(seen) if kind != "data-notice"]
    assert kinds[-3:] == ["abort", "finish", "done"]


async def test_its_failure_is_a_failure(sandbox):
    kinds = kinds_of(await run(sandbox, "r1", "fail"))

    assert kinds.count("error") == 2  # the run's, and the one that people read
    assert kinds[-1] == "done"
    assert kinds.count("finish") == 1


# Work in the background


async def tasks_of(sandbox):
    threads = (await sandbox.get("/background")).json()["threads"]
    return threads.get(f"{sandbox.scope}thread-1", {"tasks": []})["tasks"]


async def own_run(sandbox):
    """Return the events of the turn that the agent began by itself."""
    runs = (await sandbox.get("/runs")).json()["runs"]
    mine = [run for run in runs if run.get("threadId") == f"{sandbox.scope}thread-1"]
    if not mine or mine[0]["state"] != "done":
        return None
    async with sandbox._stream("GET", f"/runs/{mine[0]['runId']}/events?fence=1", 0) as events:
        return [event async for event in events]


async def test_a_command_in_the_background_outlives_its_answer_and_is_reported(sandbox, tmp_path):
    go = tmp_path / "go"
    command = f"until [ -e {go} ]; do sleep 0.02; done"
    await run(sandbox, "r1", f"background {command}", takesUnasked=True)
    (task,) = await tasks_of(sandbox)
    go.touch()

    events = await auntil(lambda: own_run(sandbox), what="its report")

    assert task["title"] == command
    assert text_of(events) == f"`{command}` has ended. It went well."
    assert await tasks_of(sandbox) == []


async def test_a_command_in_the_background_is_stopped(sandbox):
    await run(sandbox, "r1", "background exec sleep 600", takesUnasked=True)
    (task,) = await tasks_of(sandbox)

    await sandbox.client.delete(f"/background/{sandbox.scope}thread-1/{task['id']}")

    async def is_over():
        return not await tasks_of(sandbox)

    await auntil(is_over, what="it has ended")
    assert await own_run(sandbox) is None


async def test_a_message_of_a_person_goes_before_what_the_agent_began(sandbox, tmp_path):
    command = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done # then count slowly to fifty"
    await run(sandbox, "r1", f"background {command}", takesUnasked=True)
    (tmp_path / "go").touch()

    async def is_live():
        runs = (await sandbox.get("/runs")).json()["runs"]
        return [each for each in runs if each.get("unasked") and each["state"] == "running"]

    await auntil(is_live, what="it begins by itself")
    events = await run(sandbox, "r2", "count to three", takesUnasked=True)

    assert text_of(events) == "1, 2, 3"
    own = await auntil(lambda: own_run(sandbox), what="what it had begun")
    assert "superseded" in {body.get("code") for _, body in own}
