"""The state that a running link publishes on this machine: one small file per server.

``deco_link status`` reads it. A file whose process has ended is ignored.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from links.wire.messages import parse_harnesses
from mesh import processes
from mesh.plain_files import read_plain, write_plain
from mesh.version import VERSION

logger = logging.getLogger(__name__)

Phase = Literal["connecting", "connected", "waiting"]
NOBODY: Final = 0  # the pid of a link that has ended in order
_PHASES: Final = ("connecting", "connected", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """``since`` is when ``phase`` started (Unix time); ``detail`` says why it waits."""

    server: str
    name: str
    pid: int
    started: str
    phase: Phase
    since: float
    detail: str = ""
    version: str = ""
    harnesses: dict[str, dict[str, str]] = field(default_factory=dict)
    is_service: bool = False  # it looks again at SIGHUP, which would end another


class StateFile:
    """The file of one process, kept up to date until ``close``.

    ``found_before`` is what the process before this one knew of the machine's programs.
    """

    def __init__(self, home: Path, *, server: str, name: str, is_service: bool = False) -> None:
        self._path = _path(home, server)
        earlier = _read(self._path)
        self.found_before = parse_harnesses(earlier.harnesses) if earlier else {}
        self._state = LinkState(
            server=server,
            name=name,
            pid=os.getpid(),
            started=processes.started_at(os.getpid()),
            phase="connecting",
            since=time.time(),
            version=VERSION,
            is_service=is_service,
        )

    def set_phase(self, phase: Phase, detail: str = "") -> None:
        """Write the link's phase, and since when it is in it."""
        before = self._state
        since = before.since if before.phase == phase else time.time()
        self._write(phase=phase, detail=detail, since=since)

    def set_harnesses(self, harnesses: dict[str, dict[str, str]]) -> None:
        """Write the probe's findings."""
        self._write(harnesses=harnesses)

    def close(self) -> None:
        """Write that no process has the link, unless a newer one of this machine has."""
        found = _read(self._path)
        if found is not None and found.pid == self._state.pid:
            self._write(pid=NOBODY)

    def _write(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        try:
            self._save()
        except OSError as exc:  # a full disk: the link keeps working without its status
            logger.warning(
                "link to %s: state file not written: %s", self._state.server, exc.strerror
            )

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_suffix(f".{os.getpid()}")
        write_plain(draft, json.dumps(asdict(self._state)))
        draft.replace(self._path)


def list_running(home: Path) -> list[LinkState]:
    """Return the states of this machine's links whose processes are alive."""
    found = map(_read, sorted((home / "link" / "state").glob("*.json")))
    return [state for state in found if state and _is_running(state)]


def _is_running(state: LinkState) -> bool:
    return state.pid != NOBODY and processes.is_same(state.pid, state.started)


def _path(home: Path, server: str) -> Path:
    # One per server: a machine may be linked to a team's Mesh and its own at the same time.
    digest = hashlib.sha256(server.encode()).hexdigest()[:16]
    return home / "link" / "state" / f"{digest}.json"


def _read(path: Path) -> LinkState | None:
    try:
        state = LinkState(**json.loads(read_plain(path)))
    except (OSError, ValueError, TypeError):
        return None  # missing, or written by a version with other fields
    is_valid = isinstance(state.pid, int) and isinstance(state.harnesses, dict)
    return state if is_valid and state.phase in _PHASES else None
