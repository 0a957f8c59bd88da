"""What the agents' programs on this machine can do: absent, not signed in, timed out, ready."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from links.wire.messages import MachineStatus

LIMIT: Final = 10.0  # seconds for one program's answer
BASE: Final = ("decopilot-sandbox",)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program's run ended; ``code`` is ``None`` when it had to be killed."""

    code: int | None
    out: str


@dataclass(frozen=True, slots=True)
class Probe:
    """How one program is asked; ``judge`` reads its answer as (state, detail)."""

    name: str
    program: str
    ask: tuple[str, ...]
    judge: Callable[[Ran], tuple[str, str]]
    install: str
    is_extra: bool = False  # nobody is told that it is missing


def judge_claude(ran: Ran) -> tuple[str, str]:
    """Read ``claude auth status``: JSON, with exit code 1 when nobody is signed in."""
    try:
        value: Any = json.loads(ran.out)
    except ValueError:
        return "not_signed_in", "claude auth status gave no answer; update Claude Code."
    if isinstance(value, dict) and value.get("loggedIn"):
        return "ready", str(value.get("email") or value.get("authMethod") or "")
    return "not_signed_in", "Run claude once on this machine and sign in."


def judge_codex(ran: Ran) -> tuple[str, str]:
    """Read ``codex login status``: its exit code tells."""
    if ran.code == 0:
        return "ready", ""
    return "not_signed_in", "Run codex login on this machine."


PROBES: Final = (
    Probe(
        "claude-code",
        "claude",
        ("auth", "status"),
        judge_claude,
        install="npm install -g @anthropic-ai/claude-code",
    ),
    Probe(
        "codex",
        "codex",
        ("login", "status"),
        judge_codex,
        install="npm install -g @openai/codex",
    ),
)


async def look(probes: tuple[Probe, ...] = PROBES, *, limit: float = LIMIT) -> MachineStatus:
    """Return what can be done here now; all programs are asked at the same time."""
    reports = await asyncio.gather(*(_ask(probe, limit) for probe in probes))
    harnesses = {probe.name: report for probe, report in zip(probes, reports, strict=True)}
    ready = [name for name, report in harnesses.items() if report["state"] == "ready"]
    return MachineStatus(capabilities=(*BASE, *ready), harnesses=harnesses)


def grown(before: MachineStatus | None, found: MachineStatus) -> MachineStatus:
    """Return ``found``, with nothing withdrawn that worked before: one slow or failed look must
    not end what is going on."""
    if before is None:
        return found
    harnesses = {
        name: before.harnesses[name]
        if before.harnesses.get(name, {}).get("state") == "ready"
        else report
        for name, report in found.harnesses.items()
    }
    ready = [name for name, report in harnesses.items() if report["state"] == "ready"]
    return MachineStatus(capabilities=(*BASE, *ready), harnesses=harnesses)


async def _ask(probe: Probe, limit: float) -> dict[str, str]:
    path = shutil.which(probe.program)
    if path is None:
        return _report("absent", detail=f"{probe.program} was not found on the PATH.")
    status, version = await asyncio.gather(
        _run((path, *probe.ask), limit), _run((path, "--version"), limit)
    )
    words = version.out.split()
    if status.code is None:
        detail = f"{probe.program} did not answer within {limit:g} s."
        return _report("timed_out", version=words, detail=detail)
    state, detail = probe.judge(status)
    return _report(state, version=words, detail=detail)


def _report(state: str, *, version: list[str] | None = None, detail: str = "") -> dict[str, str]:
    numbers = [word for word in version or [] if word[:1].isdigit()]
    return {"state": state, "version": numbers[0] if numbers else "", "detail": detail}


async def _run(argv: tuple[str, ...], limit: float) -> Ran:
    """Run a program for at most ``limit`` seconds; then its whole group is killed."""
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return Ran(127, "")
    try:
        async with asyncio.timeout(limit):
            out, _ = await child.communicate()
        return Ran(child.returncode, out.decode(errors="replace"))
    except TimeoutError:
        return Ran(None, "")
    finally:
        # Also after a good end: a shim may have left children, which hold our pipe.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            await child.wait()
