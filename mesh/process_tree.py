"""The descendants of a process, and how all of them are ended.

A process group is not enough: a process can leave it for a group or session of its own.
Reading every process of the machine takes milliseconds (on macOS it starts ``ps``), so this is for
ending things, never for a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh.children import HAS_PROC, stat_of
from mesh.processes import KILL_WITHIN, STEP

logger = logging.getLogger(__name__)

_LOOK_STEP: Final = 0.1  # seconds between two looks at the whole machine
_TICKS: Final = os.sysconf("SC_CLK_TCK")
TICK: Final = 1 / _TICKS  # seconds; the precision of a start time in /proc


@dataclass(frozen=True, slots=True)
class Process:
    """A living process; pid and start time identify it, the rest may change."""

    pid: int
    started: str
    parent: int = field(compare=False)
    group: int = field(compare=False)
    session: int = field(compare=False)
    began: float = field(compare=False)  # by ``now()``


Table = Mapping[int, Process]


def now() -> float:
    """Return the time on the clock of ``Process.began``."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if HAS_PROC else time.time()


def table() -> dict[int, Process]:
    """Return all living processes by pid; a zombie counts as gone. Blocking."""
    found = _from_proc() if HAS_PROC else _from_ps()
    return {process.pid: process for process in found}


def below(processes: Table, roots: Iterable[int]) -> set[Process]:
    """Return all descendants of the processes ``roots``, excluding these."""
    children = defaultdict(list)
    for process in processes.values():
        children[process.parent].append(process)
    found: set[Process] = set()
    waiting = list(roots)
    while waiting:
        for child in children[waiting.pop()]:
            if child not in found:
                found.add(child)
                waiting.append(child.pid)
    return found


async def end_all(find: Callable[[Table], set[Process]], *, grace: float) -> dict[Process, str]:
    """End every process that ``find`` returns and all below them; return when they are gone.

    Returns the command line of each one that it ended.

    SIGTERM, ``grace`` seconds, SIGKILL. Repeats until nothing new appears: a process may start
    another one while it ends. ``find`` is called in a worker thread.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + grace
    known: set[Process] = set()
    ended: dict[Process, str] = {}
    while living := await asyncio.to_thread(_find_living, find, known):
        is_late = clock() >= deadline
        if is_late and clock() >= deadline + KILL_WITHIN:
            pids = sorted(one.pid for one in living)
            logger.warning("processes %s: survived SIGKILL; no longer waiting for them", pids)
            return ended
        fresh = living - ended.keys()
        ended |= await asyncio.to_thread(commands_of, fresh)
        for process in living if is_late else fresh:
            _signal(process.pid, signal.SIGKILL if is_late else signal.SIGTERM)
        await _gone(living, until=clock() + _LOOK_STEP if is_late else deadline)
    return ended


def commands_of(living: Iterable[Process]) -> dict[Process, str]:
    """Return the command line of each process; empty if it hides it. Blocking."""
    return {process: _command_of(process.pid) for process in living}


async def end_tree(pid: int, started: str, *, after: float) -> None:
    """Wait ``after`` seconds for a process to exit; then kill it and all below it."""
    clock = asyncio.get_running_loop().time
    itself = Process(pid, started, parent=0, group=0, session=0, began=0)
    await _gone({itself}, until=clock() + after)
    await end_all(lambda processes: of_process(processes, itself), grace=0)


def of_process(processes: Table, itself: Process) -> set[Process]:
    """Return the process, if it lives, its group, and all descendants of these."""
    if processes.get(itself.pid, itself) != itself:
        return set()  # its pid belongs to another process now
    members = {one for one in processes.values() if itself.pid in (one.pid, one.group)}
    return members | below(processes, [one.pid for one in members])


def _find_living(find: Callable[[Table], set[Process]], known: set[Process]) -> set[Process]:
    """Add the processes found now to ``known``; return those of ``known`` that still live."""
    processes = table()
    known |= {one for one in known if processes.get(one.pid) == one} | find(processes)
    known |= below(processes, [one.pid for one in known if processes.get(one.pid) == one])
    return {one for one in known if processes.get(one.pid) == one}


async def _gone(living: set[Process], *, until: float) -> None:
    """Wait until they have ended, or until a time on the loop's clock."""
    clock = asyncio.get_running_loop().time
    while clock() < until:
        if HAS_PROC:
            living = {one for one in living if _is_there(one)}
            await asyncio.sleep(STEP if living else 0)
        else:
            processes = await asyncio.to_thread(table)
            living = {one for one in living if processes.get(one.pid) == one}
            await asyncio.sleep(_LOOK_STEP if living else 0)
        if not living:
            return


def _is_there(process: Process) -> bool:
    stat = stat_of(process.pid)
    return bool(stat) and stat[0] not in "ZX" and stat[19] == process.started


def _command_of(pid: int) -> str:
    if not HAS_PROC:
        asked = ["ps", "-o", "command=", "-p", str(pid)]
        answer = subprocess.run(asked, capture_output=True, check=False)
        return answer.stdout.decode(errors="replace").strip()
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace").strip()


def _from_proc() -> Iterable[Process]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := stat_of(int(name))) and stat[0] not in "ZX":
            parent, group, session = map(int, stat[1:4])
            began = int(stat[19]) / _TICKS
            yield Process(int(name), stat[19], parent, group, session, began)


def _from_ps() -> Iterable[Process]:
    asked = ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,etime=,lstart="]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return read_ps(answer.stdout, now=now())


def read_ps(text: str, *, now: float) -> list[Process]:
    """Return the processes that ``ps -o pid=,ppid=,pgid=,stat=,etime=,lstart=`` has listed."""
    found = []
    for line in text.splitlines():
        words = line.split(None, 5)
        if len(words) == 6 and not words[3].startswith("Z"):
            pid, parent, group = map(int, words[:3])
            began = now - _seconds(words[4])
            found.append(Process(pid, words[5].strip(), parent, group, _session(pid), began))
    return found


def _seconds(elapsed: str) -> float:
    """Return the seconds of ``[[days-]hours:]minutes:seconds``."""
    days, _, clock = elapsed.rpartition("-")
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return int(days or 0) * 86_400 + total


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or belongs to another user now
