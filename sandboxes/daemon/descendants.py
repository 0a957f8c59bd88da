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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh import children
from mesh.process_tree import TICK, Process, Table, below, end_all, now

VARIABLE: Final = "DECO_STARTED_BY"
OURS: Final = "sandbox"  # the mark of processes of no run, such as a repack that git starts
GRACE: Final = 0.5  # seconds between SIGTERM and SIGKILL for leftover processes
# Seconds by which a start time may be too early: /proc rounds it down to a tick.
_SLACK: Final = TICK if children.HAS_PROC else 1.0


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


def orphans(
    processes: Table, mark: str, *, since: float, marked_since: float | None = None
) -> set[Process]:
    """Return the adopted processes with that mark, or with none, that started since ``since``.

    Those with the mark count since ``marked_since``, if it is given. A process without a mark has
    cleared its environment or hides it. It counts as an orphan of the program that is being ended;
    otherwise clearing it would be a way to outlive the program.
    """
    adopted = [processes[pid] for pid, _ in children.list_adopted() if pid in processes]
    begins = {"": since, mark: since if marked_since is None else marked_since}
    return {
        one
        for one in adopted
        if (begin := begins.get(mark_of(one.pid))) is not None and one.began >= begin - _SLACK
    }


async def end_orphans(
    mark: str, *, since: float, marked_since: float | None = None
) -> dict[Process, str]:
    """End a program's orphans (see ``orphans``) and their descendants; return their commands."""
    if not children.HAS_PROC:
        return {}

    def find(processes: Table) -> set[Process]:
        return orphans(processes, mark, since=since, marked_since=marked_since)

    ended = await end_all(find, grace=GRACE)
    await asyncio.to_thread(children.reap_adopted)
    return ended


@dataclass(frozen=True, slots=True)
class Moments:
    """When a turn began, and a moment shortly before its agent first called a tool, if it did."""

    turn: float
    call: float | None = None

    def has_command(self, process: Process, program: int) -> bool:
        """Return whether a process below a program is a command that the turn has started.

        The program's own helpers share its session, and are there before it calls a tool.
        """
        if process.pid == program or process.began < self.turn - _SLACK:
            return False
        is_after_call = self.call is not None and process.began >= self.call - _SLACK
        return process.session != program or is_after_call


def strays(processes: Table, program: int, moments: Moments) -> set[Process]:
    """Return the living commands of a turn below the program, which leads its session."""
    if program not in processes:
        return set()
    return {one for one in below(processes, [program]) if moments.has_command(one, program)}


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
