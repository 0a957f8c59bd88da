"""The shell tool: one command line of an agent, run by bash."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

from agents.harness.base import BadInput
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks

DEFAULT_MS, MOST_MS = 30_000, 120_000
BACKGROUND_MS = 15 * 60 * 1000
TIMED_OUT = -1  # as an exit code

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def shell_task(
    command: str, *, cwd: str, env: Mapping[str, str], milliseconds: int, background: bool
) -> TaskSpec:
    """Return the task that runs a command line.

    Raises:
        BadInput: the command or a variable has a NUL, or a variable's name is invalid.
    """
    if not command.strip() or "\0" in command:
        raise BadInput("command must not be empty or contain a NUL.", detail="command")
    for name, value in env.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise BadInput(f"“{name}” is not a valid variable name.", detail="env")
    shell = shutil.which("bash") or "/bin/sh"
    return TaskSpec(
        argv=[shell, "-c", command],
        command=command,
        name="bash",
        env=tool_env(os.environ, env),
        cwd=cwd,
        timeout=milliseconds / 1000,
        is_kept=background,
    )


async def run_to_its_end(tasks: Tasks, spec: TaskSpec) -> dict[str, Any]:
    """Return the command's output and its exit code, -1 after a timeout.

    Cancelling the caller ends the command.
    """
    task = await tasks.start(spec)
    try:
        await task.done.wait()
    except asyncio.CancelledError:
        await task.kill(intended=True)
        raise
    return result_of(task)


def result_of(task: Task) -> dict[str, Any]:
    """Return output and exit code of a task that has ended."""
    timed_out = task.status == "timeout"
    rings = task.output.rings
    return {
        "stdout": rings["stdout"].text,
        "stderr": rings["stderr"].text,
        "exitCode": TIMED_OUT if timed_out else task.exit_code,
        "timedOut": timed_out,
        "truncated": any(ring.is_cut for ring in rings.values()),
    }
