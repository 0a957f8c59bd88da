"""Processes and process groups: whether they are alive, and how to end them.

A process is identified by its pid *and* its start time, because pids are reused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import time

from mesh.children import HAS_PROC, stat_of

STEP = 0.02  # seconds between two checks; the system has no event for another's child
KILL_WITHIN = 2.0  # seconds that a group may take to end after SIGKILL


def started_at(pid: int) -> str:
    """Return when process ``pid`` started, in the system's own format; empty if there is none.

    A zombie counts as none: it only waits to be reaped.
    """
    if HAS_PROC:
        fields = stat_of(pid)
        return fields[19] if fields and fields[0] not in "ZX" else ""
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, begun = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else begun.strip()


def is_same(pid: int, started: str) -> bool:
    """Return whether ``pid`` is still the process that started at ``started``."""
    return bool(started) and started_at(pid) == started


async def find_start(pid: int) -> str:
    """Return ``started_at`` without blocking the event loop, even where it starts a program."""
    return started_at(pid) if HAS_PROC else await asyncio.to_thread(started_at, pid)


async def is_alive(pid: int, started: str) -> bool:
    """Return the same as ``is_same``, without blocking the event loop."""
    return bool(started) and await find_start(pid) == started


class Handle:
    """Watches whether one living process is still alive, without starting a program.

    Exact where the system has pidfds. Elsewhere the pid may have been reused in the meantime,
    which ``is_alive`` detects.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # no descriptor left: fall back to the pid
                self._fd = os.pidfd_open(pid)

    @property
    def lives(self) -> bool:
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return not poll.poll(0)
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is alive, and another user's
        return True

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None


def end(pid: int, started: str, *, within: float = 5) -> None:
    """End that process: SIGTERM, then SIGKILL if it is still alive after ``within`` seconds.

    Blocks until it is gone. Does nothing to another process that has reused the pid.
    """
    if not is_same(pid, started):
        return
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + within
    while is_same(pid, started):
        if time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
        time.sleep(STEP)


def group_lives(pgid: int) -> bool:
    """Return whether the group has a process that isn't merely waiting to be reaped."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The leader first: reading every process takes milliseconds in which tokens are delayed.
    return not HAS_PROC or bool(started_at(pgid)) or _has_living_members(pgid)


def signal_group(pgid: int, number: signal.Signals) -> None:
    """Send a signal to every process of the group; do nothing if it is gone."""
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended before the signal


async def end_group(pgid: int, *, grace: float) -> None:
    """End the whole group: SIGTERM, ``grace`` seconds, SIGKILL; return when it is gone."""
    signal_group(pgid, signal.SIGTERM)
    if not await _gone(pgid, within=grace):
        signal_group(pgid, signal.SIGKILL)
        await _gone(pgid, within=KILL_WITHIN)


async def end_group_of(pid: int, started: str, *, grace: float) -> None:
    """End the group that this process leads; do nothing if its pid has been reused."""
    if await is_alive(pid, started):
        await end_group(pid, grace=grace)


async def _gone(pgid: int, *, within: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within
    while group_lives(pgid):
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(STEP)
    return True


def _has_living_members(pgid: int) -> bool:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    stats = filter(None, map(stat_of, pids))
    return any(fields[2] == str(pgid) and fields[0] not in "ZX" for fields in stats)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended before the signal
