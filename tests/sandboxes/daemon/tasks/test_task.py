"""One task that is watched in this process: a full disk must not lose its end."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from mesh.processes import group_lives, started_at
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.tasks.task import Task, TaskSpec, start
from tests.waiting import PATIENCE, auntil


class Audience:
    """Records its notifications."""

    def __init__(self):
        self.text, self.ends = "", 0

    def on_output(self, task, stream, text):
        self.text += text

    def on_end(self, task):
        self.ends += 1


@pytest.fixture
async def watch(tmp_path):
    """Return ``watch(command, log=…)``: the running task of a shell command, and its audience."""
    tasks = []

    def watch(command, log=tmp_path / "task1.log", **changes):
        audience = Audience()
        spec = TaskSpec(argv=(), command=command, name="bash", env={}, **changes)
        process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        task = Task("task1", spec, audience, log)
        pipes = {"stdout": process.stdout, "stderr": process.stderr}
        task.watch(process, pipes, started=started_at(process.pid))
        tasks.append(task)
        return task, process, audience

    yield watch
    for task in tasks:
        await task.kill(grace=0)


async def test_a_task_without_a_log_ends_as_any_other(watch, tmp_path):
    task, _, audience = watch("echo hi", log=tmp_path / "missing" / "task1.log")

    await task.wait(PATIENCE)

    assert (task.status, task.exit_code, audience.text, audience.ends) == ("exited", 0, "hi\n", 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
async def test_a_log_on_a_full_disk_loses_no_end(watch):
    task, process, audience = watch("read line; echo hi; read line; echo there")
    task._log.close()
    task._log = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    process.stdin.write(b"\n")
    await auntil(lambda: audience.text == "hi\n")
    process.stdin.write(b"\n")

    await task.wait(PATIENCE)

    assert (task.status, audience.text, audience.ends) == ("exited", "hi\nthere\n", 1)


async def test_output_that_nobody_can_take_loses_no_end(watch):
    task, process, audience = watch("read line; echo hi")
    audience.on_output = None  # raises
    process.stdin.write(b"\n")

    await task.wait(PATIENCE)

    assert (task.status, audience.ends) == ("exited", 1)


async def test_it_is_killed_even_if_its_caller_was_cancelled(watch):
    task, process, _ = watch("trap '' TERM; echo up; while :; do sleep 1; done")
    asking = asyncio.create_task(task.kill(grace=0.2))
    await asyncio.sleep(0)
    asking.cancel()

    await task.wait(PATIENCE)

    assert task.status == "killed"
    # It is over with its leader; what the leader started ends in the background.
    await auntil(lambda: not group_lives(process.pid), what="its whole group ends")


def test_a_program_reads_its_input_to_the_end(tmp_path):
    text = b"refs/heads/work\n" * 10_000  # more than a pipe holds
    spec = TaskSpec(argv=["cat"], command="cat", name="hook", env={}, input=text)

    process, pipes = start(spec, Tree(tmp_path))

    assert pipes["stdout"].read() == text
    assert process.wait(PATIENCE) == 0
    for pipe in pipes.values():
        pipe.close()
