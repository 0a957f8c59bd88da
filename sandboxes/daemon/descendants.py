"""The descendants of programs that the sandbox started, and when they end.

The processes below a program end with it. An orphan, which the sandbox adopts, may outlive the
program, but neither the stopped run that started it nor the sandbox. Each program gets a mark,
which its descendants inherit: it identifies an orphan's program, and a later process of the
sandbox finds by it what a killed one left running.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mesh import children
from mesh.process_tree import Process, Table, below, end_all, now

VARIABLE: Final = "DECO_STARTED_BY"
OURS: Final = "sandbox"  # the mark of processes of no run, such as a repack that git starts
GRACE: Final = 0.5  # seconds between SIGTERM and SIGKILL for leftover processes
_SLACK: Final = 0.1 if children.HAS_PROC else 1.0  # seconds; the precision of a start time


class Marks:
    """Makes the marks of one sandbox, which its folder identifies."""

    def __init__(self, root: Path) -> None:
        self.sandbox = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]

    def new(self) -> str:
        """Return a mark for another program."""
        return f"{self.sandbox}.{secrets.token_hex(8)}"


def marked(env: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return ``env`` with the mark."""
    return {**env, VARIABLE: mark}


def mark_of(pid: int) -> str:
    """Return the mark that a process was started with; empty if it has none or hides it."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    name = VARIABLE.encode() + b"="
    found = next((pair for pair in environ.split(b"\0") if pair.startswith(name)), name)
    return found[len(name) :].decode(errors="replace")


def orphans(processes: Table, mark: str, *, since: float) -> set[Process]:
    """Return the adopted processes with that mark, or with none, that started since ``since``.

    A process without a mark has cleared its environment or hides it. It counts as an orphan of
    the program that is being ended; otherwise clearing it would be a way to outlive the program.
    """
    adopted = [processes[pid] for pid, _ in children.list_adopted() if pid in processes]
    return {
        one for one in adopted if one.began >= since - _SLACK and mark_of(one.pid) in ("", mark)
    }


async def end_orphans(mark: str, *, since: float) -> None:
    """End a program's orphans that started since ``since``, and their descendants."""
    if children.HAS_PROC:
        await end_all(lambda processes: orphans(processes, mark, since=since), grace=GRACE)
        await asyncio.to_thread(children.reap_adopted)


def strays(processes: Table, program: int, *, since: float) -> set[Process]:
    """Return a program's descendants in other sessions that started since ``since``."""
    if program not in processes:
        return set()
    session = processes[program].session
    return {
        one
        for one in below(processes, [program])
        if one.session != session and one.began >= since - _SLACK
    }


async def end_everything() -> None:
    """End all descendants of this process, before it exits itself.

    Where the system has no way to adopt orphans, those outside their program's group stay.
    """
    await end_all(lambda processes: below(processes, [os.getpid()]), grace=GRACE)
    await asyncio.to_thread(children.reap_adopted)


async def end_marked(marks: Marks) -> None:
    """End all processes that an earlier process of this sandbox left running."""
    if children.HAS_PROC:
        begun = now()
        await end_all(lambda processes: _left_before(processes, marks, begun), grace=GRACE)


def _left_before(processes: Table, marks: Marks, moment: float) -> set[Process]:
    mine = below(processes, [os.getpid()])
    return {
        one
        for one in set(processes.values()) - mine
        if one.began < moment
        and one.pid != os.getpid()
        and mark_of(one.pid).partition(".")[0] == marks.sandbox
    }
