"""Child processes of this program: which ones it started, and which ones it adopted.

On Linux a process may ask to adopt the orphans among its descendants ("child subreaper"), which
would otherwise become children of init. It must then reap them, and it may end them; it must
not mistake a program of its own for one of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import AnyStr, Final

HAS_PROC: Final = Path("/proc/self/stat").exists()
_PR_SET_CHILD_SUBREAPER: Final = 36

# Held while a process is started: until it is recorded, a new child looks like an adopted one.
_starting = threading.RLock()
_started: dict[int, str] = {}  # pid → start time
_adopts = False


def start(make: Callable[[], subprocess.Popen[AnyStr]]) -> subprocess.Popen[AnyStr]:
    """Return the process that ``make`` starts, recorded as our own child.

    Every child process of a program that adopts orphans must be started through this.
    """
    if not HAS_PROC:
        return make()
    with _starting:
        process = make()
        _started[process.pid] = (stat_of(process.pid) or _NO_STAT)[19]
    return process


def adopt_orphans() -> bool:
    """Ask the system to make us the parent of orphaned descendants; return whether it does."""
    global _adopts
    if sys.platform == "linux" and HAS_PROC:
        with contextlib.suppress(OSError, AttributeError):
            _adopts = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    return _adopts


def list_adopted() -> list[tuple[int, str]]:
    """Return pid and state of our child processes that we did not start. Blocking."""
    if not _adopts:
        return []
    parent = str(os.getpid())
    with _starting:
        stats = {pid: stat for pid in _all_pids() if (stat := stat_of(pid))}
        children = {pid: stat for pid, stat in stats.items() if stat[1] == parent}
        for pid, started in list(_started.items()):
            if pid not in children or children[pid][19] != started:
                del _started[pid]  # it was reaped
        return [(pid, stat[0]) for pid, stat in children.items() if pid not in _started]


def reap_adopted() -> None:
    """Reap adopted processes that have ended; nothing else waits for them."""
    for pid, state in list_adopted():
        if state == "Z":
            with contextlib.suppress(ChildProcessError):  # already reaped
                os.waitpid(pid, os.WNOHANG)


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third (the state) on; [] if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name, in brackets, may itself contain spaces and brackets.
    return text.rpartition(")")[2].split()


_NO_STAT: Final = [""] * 20


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
