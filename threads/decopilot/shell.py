"""A shell command in the sandbox: started, polled, and killed when its run is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final
from urllib.parse import quote

from mesh.lib.backoff import Backoff
from threads.decopilot.files import NOT_KNOWN, Files, Made, ToolFailed

DEFAULT_MS: Final = 120_000
MAX_MS: Final = 15 * 60 * 1000
KILL_LIMIT: Final = 10.0  # seconds: the sandbox gives a command three to exit on its own

# References to tasks that kill a command: they outlive the run's own task.
_kills: set[asyncio.Task[None]] = set()


async def run(files: Files, body: dict[str, Any], made: Made) -> dict[str, Any]:
    """Return how the command ended: ``stdout``, ``stderr``, ``exitCode`` and ``status``.

    It is a task of the sandbox and is polled, so a broken connection does no harm; one that a lost
    attempt started is followed to its end. Cancelling this coroutine kills it in the sandbox.

    Raises:
        ToolFailed: it could not be started, the sandbox is gone, or its end is not known.
    """
    milliseconds = min(max(body.get("timeout", DEFAULT_MS), 1), MAX_MS)
    start = {"command": body["command"], "timeout": milliseconds, "background": True}
    started = await files.act("bash", start, made)
    task_id = quote(str(started["taskId"]), safe="")  # a sandbox may say anything
    # Ids of tasks begin anew with each process of a sandbox. An older one knows no others.
    where = f"calls/{made.key}" if "callId" in started else f"tasks/{task_id}"
    try:
        return await _ended(files, where)
    except asyncio.CancelledError:
        kill = asyncio.create_task(_kill(files, task_id))
        _kills.add(kill)
        kill.add_done_callback(_kills.discard)
        raise


async def _ended(files: Files, where: str) -> dict[str, Any]:
    backoff = Backoff(first=0.04, ceiling=1.0)
    while True:
        try:
            task = await files.ask(where, method="GET", is_repeatable=True)
        except ToolFailed as exc:
            if exc.code == "lost_call":
                raise ToolFailed(f"The sandbox ended in the middle of it. {NOT_KNOWN}") from exc
            raise
        if task.get("status") != "running":
            return task
        await asyncio.sleep(backoff.next())


async def _kill(files: Files, task_id: str) -> None:
    with contextlib.suppress(ToolFailed):  # it has ended, or the sandbox is gone
        await files.ask(f"tasks/{task_id}/kill", is_repeatable=True, limit=KILL_LIMIT)
