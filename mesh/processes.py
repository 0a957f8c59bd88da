"""Processes by number *and* start time, so that a number used again is never taken for the old."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import time
from pathlib import Path

STEP = 0.02  # seconds between two looks at a process that was told to end


def started_at(pid: int) -> str:
    """Return when process ``pid`` started, as text to compare; empty if there is none.

    A zombie counts as none: it does nothing any more.
    """
    if platform.system() == "Linux":
        try:
            # The name in brackets may hold spaces; what follows the last bracket does not.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2]
        except OSError:
            return ""
        state, *rest = fields.split()
        return "" if state in {"Z", "X"} else rest[18]
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, begun = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else begun.strip()


def is_same(pid: int, started: str) -> bool:
    """Say whether process ``pid`` lives and is the one that started then."""
    return bool(started) and started_at(pid) == started


def end(pid: int, started: str, *, within: float = 5) -> None:
    """End that process: SIGTERM, and SIGKILL when it still lives after ``within`` seconds.

    Blocks until it is gone. Does nothing to a process that only has its number.
    """
    if not is_same(pid, started):
        return
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + within
    while is_same(pid, started):
        if time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
        time.sleep(STEP)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself in between
