"""The doctor's look at this machine: its programs, its disk, its link."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from links.daemon import state
from links.daemon.config import own_command
from links.daemon.doctor.finding import Finding
from links.daemon.probe import Probe
from links.wire.messages import MachineStatus
from mesh.git.calls import GitMissing, version_call

MINIMUM: Final = 200 * 2**20  # bytes free: a journal and a checkout need at least this
LOW: Final = 2 * 2**30


def judge_programs(probes: Sequence[Probe], found: MachineStatus) -> list[Finding]:
    """Return a line for each agent's program, and a warning if none is ready."""
    lines = [_program(probe, found.harnesses[probe.name]) for probe in probes]
    if not any(report["state"] == "ready" for report in found.harnesses.values()):
        text = "none is ready on this machine; only the Demo agent works"
        lines.append(Finding("warn", "agents", text, "See the lines above."))
    return lines


def _program(probe: Probe, report: dict[str, str]) -> Finding:
    if report["state"] == "ready":
        words = " ".join(filter(None, [report["version"], report["detail"]]))
        return Finding("ok", probe.name, words or "ready")
    if report["state"] == "absent":
        # A missing optional program is not a problem of the machine.
        return Finding(
            "ok" if probe.is_extra else "warn", probe.name, "not installed", probe.install
        )
    return Finding("warn", probe.name, report["state"].replace("_", " "), report["detail"])


def check_git() -> Finding:
    """Report whether git can create checkouts."""
    try:
        call = version_call(os.environ)
        answer = subprocess.run(
            call.argv, cwd=call.cwd, env=call.env, capture_output=True, text=True, timeout=5
        )
    except GitMissing:
        return Finding("warn", "git", "not found: agents can't work in a checkout", "Install git.")
    except (OSError, subprocess.TimeoutExpired):
        return Finding("warn", "git", "does not answer", "Try: git --version")
    return Finding("ok", "git", answer.stdout.removeprefix("git version").strip())


def check_home(home: Path) -> list[Finding]:
    """Report whether ``home`` is writable, private, and has free space."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(home).free
    except OSError as exc:
        return [
            Finding(
                "fail", "disk", f"{home}: {exc.strerror}", "Set MESH_HOME to a folder that you own."
            )
        ]
    if not os.access(home, os.W_OK):
        return [
            Finding(
                "fail", "disk", f"{home} is not writable", "Set MESH_HOME to a folder that you own."
            )
        ]
    found = [judge_disk(free, home)]
    if stat.S_IMODE(home.stat().st_mode) & 0o077:
        text = f"other users of this machine can read {home}"
        found.append(Finding("warn", "privacy", text, f"chmod 700 {home}"))
    return found


def judge_disk(free: int, home: Path) -> Finding:
    """Report whether ``free`` bytes are enough."""
    text = f"{free / 2**30:.1f} GiB free at {home}"
    fix = f"Free some space; list old sandboxes with: {own_command('sandboxes')}"
    if free < MINIMUM:
        return Finding("fail", "disk", text, fix)
    return Finding("warn" if free < LOW else "ok", "disk", text, fix if free < LOW else "")


def check_link(home: Path, server: str) -> Finding:
    """Report the state of the link to ``server``."""
    for one in state.list_running(home):
        if one.server == server:
            if one.phase == "connected":
                return Finding("ok", "link", f"connected (pid {one.pid})")
            text = f"running (pid {one.pid}) but not connected: {one.detail or one.phase}"
            return Finding(
                "warn",
                "link",
                text,
                "It reconnects automatically; the lines above say why it fails.",
            )
    return Finding("warn", "link", "not running", f"Start it: {own_command(server)}")
