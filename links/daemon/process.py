"""Processes by pid *and* start time: a pid alone may be somebody else's by now."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

TERM_WAIT: Final = 5.0  # seconds between SIGTERM and SIGKILL
_STEP: Final = 0.02
_HAS_PROC: Final = Path("/proc/self/stat").exists()


def started(pid: int) -> str | None:
    """Return when the process began, as the system tells it; ``None`` if it is no more.

    On Linux field 22 of ``/proc/<pid>/stat`` (ticks since boot), elsewhere ``ps -o lstart=``.
    A zombie is no more: it only waits to be collected.
    """
    if _HAS_PROC:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the name may hold spaces and brackets
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def is_alive(pid: int, started_at: str) -> bool:
    """Return whether the very process that began at ``started_at`` still runs."""
    return started(pid) == started_at


async def end_group(pid: int, started_at: str, *, wait: float = TERM_WAIT) -> None:
    """End the process and its group: SIGTERM, then SIGKILL. Returns when the leader is gone.

    Safe to repeat, and does nothing to a process that only inherited the pid.
    """
    if not is_alive(pid, started_at):
        return
    _signal_group(pid, signal.SIGTERM)
    if await _is_gone(pid, started_at, within=wait):
        # What the leader left behind in its group must not outlive it.
        _signal_group(pid, signal.SIGKILL)
        return
    _signal_group(pid, signal.SIGKILL)
    await _is_gone(pid, started_at, within=wait)


async def _is_gone(pid: int, started_at: str, *, within: float) -> bool:
    end = time.monotonic() + within
    while is_alive(pid, started_at):
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(_STEP)  # the system has no event for another's child
    return True


def _signal_group(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, sign)
