"""Runs hooks as tasks of the sandbox, like every other program of a project.

So a hook is listed and can be ended like a command; it gets the environment of such programs, and
its descendants end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from mesh.lib.errors import AppError
from sandboxes.daemon.repository.hooks import WITHIN, HookCall, Outcome, Run
from sandboxes.daemon.tasks.task import Task, TaskSpec
from sandboxes.daemon.tasks.tasks import Tasks

# A shell also starts a script whose first line names no program, as git does.
_SHELL = ("/bin/sh", "-c", 'exec "$0" "$@"')

Environment = Callable[[], Awaitable[Mapping[str, str]]]


def runner(tasks: Tasks, environment: Environment, top: str) -> Run:
    """Return what runs a hook at ``top``, called from a worker thread of the running loop."""
    loop = asyncio.get_running_loop()

    async def run(call: HookCall) -> Outcome:
        try:
            env = await environment()
            task = await tasks.start(_spec(call, env, top))
        except AppError as exc:
            return Outcome(why=f"could not be started. {exc}")
        await task.done.wait()
        return _outcome(task)

    return lambda call: asyncio.run_coroutine_threadsafe(run(call), loop).result()


def _spec(call: HookCall, env: Mapping[str, str], top: str) -> TaskSpec:
    return TaskSpec(
        argv=[*_SHELL, str(call.program), *call.args],
        command=f"{call.name} hook",
        name="hook",
        env={**env, **call.env},
        cwd=top,
        timeout=WITHIN,
        input=call.input,
        is_logged=True,
    )


def _outcome(task: Task) -> Outcome:
    output = "".join(text for _, text in task.output.replay())
    why = {
        "exited": "",
        "failed": f"refused (exit code {task.exit_code})",
        "timeout": f"took longer than {WITHIN / 60:.0f} minutes",
    }
    return Outcome(output, why.get(task.status, "was ended"))
