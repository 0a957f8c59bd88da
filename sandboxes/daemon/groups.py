"""Process groups: who leads one, whether it still lives, and how it is ended for good."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

HAS_PROC = Path("/proc/self/stat").exists()
STEP = 0.02  # seconds between two looks at a group that is being ended
KILL_WITHIN = 2.0  # seconds that a group may take to vanish after SIGKILL


def started_at(pid: int) -> str:
    """Return when process ``pid`` started, in the system's own terms; "" when it is gone.

    Together with the pid it names a process for good: pids are used again.
    """
    if HAS_PROC:
        fields = _stat(pid)
        return fields[19] if fields and fields[0] not in "ZX" else ""
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def is_same_process(pid: int, started: str) -> bool:
    """Say whether the process that started at ``started`` still lives under ``pid``."""
    return bool(started) and started_at(pid) == started


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third (the state) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name, in brackets, may itself hold spaces and brackets.
    return text.rpartition(")")[2].split()


def group_lives(pgid: int) -> bool:
    """Say whether any process of the group is left that isn't merely waiting to be reaped."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The leader first: looking at every process takes milliseconds that others' tokens wait for.
    return not HAS_PROC or bool(started_at(pgid)) or _has_living_members(pgid)


def _has_living_members(pgid: int) -> bool:
    stats = filter(None, map(_stat, _pids()))
    return any(fields[2] == str(pgid) and fields[0] not in "ZX" for fields in stats)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def signal_group(pgid: int, number: signal.Signals) -> None:
    """Send a signal to every process of the group; nothing when it is gone."""
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone between the look and the signal


async def end_group(pgid: int, *, grace: float) -> None:
    """End the whole group: SIGTERM, ``grace`` seconds, SIGKILL; returns when it is gone."""
    signal_group(pgid, signal.SIGTERM)
    if not await _gone(pgid, within=grace):
        signal_group(pgid, signal.SIGKILL)
        await _gone(pgid, within=KILL_WITHIN)


async def _gone(pgid: int, *, within: float) -> bool:
    end = asyncio.get_running_loop().time() + within
    while group_lives(pgid):
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(STEP)
    return True
