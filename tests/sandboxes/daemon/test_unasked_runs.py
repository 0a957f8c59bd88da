"""What a program does beside the turns that it is given: shown, stopped, and taken as runs."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from sandboxes.core.sse import SseReader
from tests.sandboxes.daemon.sandbox import text_of
from tests.waiting import auntil

pytestmark = pytest.mark.programs


@pytest.fixture
def begin(sandbox, tmp_path):
    """Return ``begin()``: a turn that leaves a command behind, which waits for the file ``go``."""

    async def start(run_id="r1", **changes):
        options = {"harness": "unasked", "takesUnasked": True} | changes
        step = ["later", str(tmp_path / "go"), "by itself"]
        return await sandbox.run(run_id, step, ["say", "begun"], **options)

    return start


async def unasked_runs(sandbox):
    runs = (await sandbox.get("/runs")).json()["runs"]
    thread = sandbox.scope + "thread-1"
    return [run for run in runs if run.get("threadId") == thread and run["state"] == "done"]


async def running(sandbox):
    threads = (await sandbox.get("/background")).json()["threads"]
    return threads.get(sandbox.scope + "thread-1", {"tasks": []})["tasks"]


@pytest.fixture
def watched(sandbox):
    """Return ``watched()``, which opens the feed: what it says of the thread, one after another."""

    @asynccontextmanager
    async def watch():
        async with sandbox.client.stream("GET", "/background/events") as reply:
            yield _said(reply, sandbox.scope + "thread-1")

    return watch


async def _said(reply, thread):
    reader = SseReader()
    async for piece in reply.aiter_raw():
        for event in reader.feed(piece):
            yield json.loads(event.data)["threads"].get(thread)


async def test_a_turn_that_a_program_begins_by_itself_is_a_run_of_its_own(sandbox, begin, tmp_path):
    assert text_of(await begin()) == "begun"
    (tmp_path / "go").touch()

    (run,) = await auntil(lambda: unasked_runs(sandbox))

    assert (run["harnessId"], run["unasked"]) == ("unasked", "The command ended.")
    path = f"/runs/{run['runId']}/events?fence=1"
    async with sandbox._stream("GET", path, 0) as events:
        kept = [event async for event in events]
    assert text_of(kept) == "by itself"
    assert kept[-1][1] == {"type": "done"}


async def test_what_runs_in_the_background_is_listed_until_it_ends(sandbox, begin, tmp_path):
    await begin()
    (task,) = await running(sandbox)
    (tmp_path / "go").touch()
    await auntil(lambda: unasked_runs(sandbox))

    assert (task["id"], task["title"], task["kind"]) == ("b1", "Waits", "command")
    assert task["startedAt"] > 0
    assert await running(sandbox) == []


async def test_a_task_that_nobody_knows_is_not_stopped(sandbox, begin):
    await begin()
    path = f"/background/{sandbox.scope}thread-1"

    unknown = await sandbox.client.delete(f"{path}/b2")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_task")


async def test_a_program_that_does_not_end_its_task_is_ended(sandbox, begin):
    await begin()
    path = f"/background/{sandbox.scope}thread-1/b1"

    assert (await sandbox.client.delete(path)).status_code == 204
    await auntil(lambda: _is_empty(sandbox))


async def test_what_runs_for_a_thread_is_ended_with_its_program(sandbox, begin):
    await begin()

    assert (await sandbox.client.delete(f"/background/{sandbox.scope}thread-1")).status_code == 204
    await auntil(lambda: _is_empty(sandbox))


async def test_a_turn_tells_what_it_leaves_in_the_background(begin):
    events = await begin()

    (told,) = [body for _, body in events if body["type"] == "background"]
    assert [task["title"] for task in told["tasks"]] == ["Waits"]
    assert "hasUnclaimed" not in told


async def test_the_next_turn_tells_that_the_server_has_yet_to_take_one(sandbox, begin, tmp_path):
    await begin()
    (tmp_path / "go").touch()
    await auntil(lambda: unasked_runs(sandbox))

    events = await sandbox.run("r2", ["say", "hi"], harness="unasked", takesUnasked=True)

    assert next(body for _, body in events if body["type"] == "background")["hasUnclaimed"]


async def test_a_watcher_is_told_each_change(sandbox, begin, watched, tmp_path):
    await begin()
    async with watched() as states:
        first = await anext(states)
        (tmp_path / "go").touch()
        (run,) = await _until(states, _ended_runs)
        await sandbox.post(f"/runs/{run['runId']}/ack", {"fence": 1, "n": run["doneN"]})
        await _until(states, lambda state: state is None)

    assert ([task["id"] for task in first["tasks"]], first["runs"]) == (["b1"], [])
    assert (run["reason"], run["fence"]) == ("The command ended.", 1)


def _ended_runs(state):
    return [run for run in (state or {"runs": []})["runs"] if run["doneN"]]


async def _until(states, look):
    """Return what ``look`` finds in the first state in which it finds anything."""
    async for state in states:
        if found := look(state):
            return found
    raise AssertionError("the feed has ended")


async def test_a_server_that_does_not_take_such_runs_gets_none(sandbox, begin, tmp_path):
    await begin(takesUnasked=False)
    (tmp_path / "go").touch()
    await auntil(lambda: _is_empty(sandbox))

    assert await unasked_runs(sandbox) == []


async def _is_empty(sandbox):
    return not await running(sandbox)
