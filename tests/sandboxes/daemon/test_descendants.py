"""What an agent's program starts ends with a stopped run, and with the sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.children import HAS_PROC
from mesh.process_tree import TICK, now
from sandboxes.daemon.descendants import Marks, mark_of, marked
from tests.sandboxes.daemon.sandbox import is_alive, kinds_of, read_words, text_of
from tests.waiting import auntil

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(not HAS_PROC, reason="only Linux adopts orphans"),
]
ESCAPES = ["attached", "orphan", "hidden"]


async def stopped(sandbox, *steps, harness="plain"):
    """Return the pids that a run printed before it was stopped, and its last events."""
    async with sandbox.dispatch("r1", *steps, harness=harness) as events:
        told = await read_words(events, len(steps) - 1)
        await sandbox.cancel("r1")
        rest = [event async for event in events]
    return [int(pid) for pid in text_of(told).split()], rest


@pytest.mark.parametrize("how", ESCAPES)
@pytest.mark.parametrize(
    ("harness", "last"), [("plain", ["until_told"]), ("deaf", ["forever"])], ids=["polite", "deaf"]
)
async def test_stop_ends_what_left_its_program_s_group(sandbox, how, harness, last):
    (escaped,), rest = await stopped(sandbox, ["escape", how], last, harness=harness)
    after = await sandbox.run("r2", ["say", "here again"])

    assert not is_alive(escaped)
    assert kinds_of(rest)[-2:] == ["finish", "done"]
    assert text_of(after) == "here again"


@pytest.mark.parametrize("how", ["orphan", "hidden"])
async def test_a_polite_program_stays_when_only_its_orphans_had_to_go(sandbox, how):
    (program, _), _ = await stopped(sandbox, ["pid"], ["escape", how], ["until_told"])

    after = await sandbox.run("r2", ["pid"])

    assert text_of(after) == f"{program} "


async def test_what_a_completed_run_has_left_stays_until_the_sandbox_ends(make_sandbox):
    sandbox = make_sandbox()
    left = int(text_of(await sandbox.run("r0", ["escape", "orphan"])))
    over = now()
    # Only what began more than a tick before the next run is known to be of an earlier one.
    await auntil(lambda: now() > over + TICK)

    await stopped(sandbox, ["pid"], ["until_told"])
    assert is_alive(left)

    sandbox.stop()
    assert not is_alive(left)


@pytest.mark.parametrize("how", ESCAPES)
async def test_nothing_outlives_the_sandbox(make_sandbox, how):
    sandbox = make_sandbox()
    async with sandbox.dispatch("r1", ["escape", how], ["forever"], harness="deaf") as events:
        escaped = int(text_of(await read_words(events, 1)))
        sandbox.stop()

    assert not is_alive(escaped)


@pytest.mark.faults
@pytest.mark.parametrize("how", ["attached", "orphan"])
async def test_the_next_sandbox_ends_what_a_killed_one_has_left(make_sandbox, how):
    sandbox = make_sandbox()
    async with sandbox.dispatch("r1", ["escape", how], ["forever"], harness="deaf") as events:
        escaped = int(text_of(await read_words(events, 1)))
        sandbox.kill()
    assert is_alive(escaped)

    sandbox.start()

    await auntil(lambda: not is_alive(escaped))


async def test_a_killed_task_takes_along_what_left_its_group(sandbox):
    command = "setsid sleep 600 & echo $!; (setsid sleep 600 & echo $!); sleep 600"
    body = {"command": command, "background": True}
    task = f"/tasks/{(await sandbox.post('/bash', body)).json()['taskId']}"

    async def escaped():
        said = (await sandbox.get(task)).json()["stdout"].split()
        return [int(pid) for pid in said] if len(said) == 2 else None

    pids = await auntil(escaped)
    await sandbox.post(f"{task}/kill", {})

    assert not any(map(is_alive, pids))


async def test_a_stopped_run_leaves_the_sandbox_s_own_tasks_alone(sandbox):
    async with sandbox.dispatch("r1", ["pid"], ["until_told"]) as events:
        await read_words(events, 1)
        body = {"command": "(setsid sleep 600 & echo $!); sleep 600", "background": True}
        task = f"/tasks/{(await sandbox.post('/bash', body)).json()['taskId']}"

        async def said():
            return (await sandbox.get(task)).json()["stdout"].strip()

        pid = int(await auntil(said))
        await sandbox.cancel("r1")
        assert [event async for event in events]
    await sandbox.run("r2", ["say", "over"])

    assert is_alive(pid)
    assert (await sandbox.get(task)).json()["status"] == "running"


async def test_adopted_orphans_are_reaped(make_sandbox):
    sandbox = make_sandbox(env={"TEST_CHECK_EVERY": "0.05"})
    orphan = int(text_of(await sandbox.run("r1", ["escape", "orphan"])))

    os.kill(orphan, 9)

    await auntil(lambda: not Path(f"/proc/{orphan}").exists())


def test_a_mark_names_the_sandbox_and_the_program(tmp_path):
    marks = Marks(tmp_path)
    one, other = marks.new(), Marks(tmp_path).new()

    assert one != other
    assert {mark.partition(".")[0] for mark in (one, other)} == {marks.sandbox}
    assert Marks(tmp_path / "another").sandbox != marks.sandbox
    assert one in marked({"PATH": "/bin"}, one).values()


def test_a_process_that_was_not_marked_has_no_mark():
    assert mark_of(os.getpid()) == ""
    assert mark_of(2**22 + 1) == ""
