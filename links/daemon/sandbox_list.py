"""The sandboxes of this machine as its person sees them, from their folders and processes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from links.daemon.errors import SandboxDown, UnknownHandle
from links.daemon.supervisor import Supervisor
from links.daemon.terminal import in_line
from links.wire.names import is_handle
from mesh.plain_files import read_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStatus:
    """``pid`` is 0 if it is not running; ``runs`` counts the agents' turns in progress."""

    handle: str
    state: str  # "ready", "silent" or "stopped"
    pid: int
    runs: int
    place: str  # the folder or repository it was created for


async def list_sandboxes(home: Path) -> list[SandboxStatus]:
    """Return every sandbox below ``home``; running ones have two seconds to answer."""
    supervisor = Supervisor(home)
    found = (_status(supervisor, home, handle) for handle in _handles(home))
    return list(await asyncio.gather(*found))


def _handles(home: Path) -> list[str]:
    specs = sorted(home.glob("*/spec.json"))
    return [path.parent.name for path in specs if is_handle(path.parent.name)]


async def _status(supervisor: Supervisor, home: Path, handle: str) -> SandboxStatus:
    place = _created_for(home / handle)
    try:
        sandbox = supervisor.find(handle)
    except (SandboxDown, UnknownHandle):
        return SandboxStatus(handle=handle, state="stopped", pid=0, runs=0, place=place)
    try:
        health = await supervisor.health(sandbox)
    except (SandboxDown, TimeoutError):
        return SandboxStatus(handle=handle, state="silent", pid=sandbox.pid, runs=0, place=place)
    runs = health.get("activeRuns")
    count = runs if isinstance(runs, int) else 0
    return SandboxStatus(handle=handle, state="ready", pid=sandbox.pid, runs=count, place=place)


def table(found: list[SandboxStatus]) -> str:
    """Return them as the lines of a table."""
    if not found:
        return "This machine has no sandboxes."
    rows = [("SANDBOX", "STATE", "PID", "RUNS", "CREATED FOR")]
    rows += [
        (
            sandbox.handle,
            sandbox.state,
            str(sandbox.pid or ""),
            str(sandbox.runs or ""),
            in_line(sandbox.place),
        )
        for sandbox in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """Return a duration in its largest unit, for people."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _created_for(root: Path) -> str:
    try:
        spec: Any = json.loads(read_plain(root / "spec.json"))
    except (OSError, ValueError):
        return ""
    if not isinstance(spec, dict):
        return ""
    repo = spec.get("repo")
    address = repo.get("cloneUrl") if isinstance(repo, dict) else ""
    branch = spec.get("branch") or ""
    return " ".join(str(part) for part in (spec.get("folder") or address, branch) if part)
