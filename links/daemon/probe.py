"""The state of the agents' programs on this machine: absent, not signed in, timed out, ready.

Probing starts programs that take seconds to start: a ready one is probed again only now and then,
and one that can't be signed in is not started at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from links.daemon.config import Agent
from links.daemon.sandbox_process import environment
from links.wire.messages import MachineStatus
from mesh import agent_programs
from mesh.agent_programs import AgentProgram, Judge
from mesh.agent_programs import Probe as ProgramProbe

LIMIT: Final = 10.0  # seconds for one program's answer
BASE: Final = ("decopilot-sandbox",)


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """Exit code and output of a program; ``code`` is ``None`` if it had to be killed."""

    code: int | None
    out: str


@dataclass(frozen=True, slots=True)
class Probe:
    """How to probe one program; ``judge`` turns its answer into (state, detail).

    ``may_be_ready`` says, without starting it, whether it is worth starting; ``search_path`` adds
    its installer's folder below the person's home to the PATH. A missing ``is_extra`` program is
    no warning.
    """

    name: str
    program: str
    ask: tuple[str, ...]
    judge: Callable[[ProgramResult], tuple[str, str]]
    install: str
    sign_in: str
    may_be_ready: Callable[[Mapping[str, str]], bool] = lambda environ: True
    search_path: Callable[[str, Path], str] = lambda path, home: path
    is_extra: bool = False


def judge_logged_in(ran: ProgramResult) -> tuple[str, str]:
    """Read JSON with ``loggedIn``, as ``claude auth status`` writes it."""
    try:
        value: Any = json.loads(ran.out)
    except ValueError:
        return "not_signed_in", "The program did not report who is signed in; update it."
    if isinstance(value, dict) and value.get("loggedIn"):
        return "ready", str(value.get("email") or value.get("authMethod") or "")
    return "not_signed_in", ""


def judge_exit_code(ran: ProgramResult) -> tuple[str, str]:
    """Read the exit code, as ``codex login status`` reports it."""
    if ran.code == 0:
        return "ready", ""
    return "not_signed_in", ""


def judge_start(ran: ProgramResult) -> tuple[str, str]:
    """Read ``--version`` of a program that can't report who is signed in."""
    return ("ready", "") if ran.code == 0 else ("timed_out", "It does not start here.")


def is_signed_in(sign_in: ProgramProbe, environ: Mapping[str, str]) -> bool:
    """Return whether a sign-in was found, or the program leaves no trace of one."""
    variables, files = sign_in.signed_in_variables, sign_in.signed_in_files
    if not variables and not files:
        return True
    home = environ.get(sign_in.home_variable) or environ.get("HOME") or Path.home()
    return any(environ.get(name) for name in variables) or any(
        (Path(home) / name).is_file() for name in files
    )


_JUDGES: Final[Mapping[Judge, Callable[[ProgramResult], tuple[str, str]]]] = {
    "exit_code": judge_exit_code,
    "logged_in": judge_logged_in,
    "starts": judge_start,
}
_VERSION: Final = ("--version",)


def probes_for(agents: Sequence[Agent] = ()) -> tuple[Probe, ...]:
    """Return the probes of all programs, including those given with --acp.

    Of the latter only the command is known: one that exists is ready.
    """
    known = (
        _probe_of(program, program.probe)
        for program in agent_programs.load()
        if program.probe is not None
    )
    named = (
        Probe(
            agent.kind,
            agent.command[0],
            (),
            judge_start,
            install=f"It was given as --acp {agent.name}=… but does not exist.",
            sign_in="",
        )
        for agent in agents
    )
    return (*known, *named)


def _probe_of(program: AgentProgram, described: ProgramProbe) -> Probe:
    return Probe(
        program.kind,
        program.name,
        described.ask,
        _JUDGES[described.judge],
        install=program.install,
        sign_in=program.sign_in_at("on this machine"),
        may_be_ready=partial(is_signed_in, described),
        search_path=program.search_path,
        is_extra=program.is_extra,
    )


PROBES: Final = probes_for()


async def look(
    before: MachineStatus | None = None,
    *,
    probes: Sequence[Probe] = PROBES,
    limit: float = LIMIT,
    include_ready: bool = False,
) -> MachineStatus:
    """Return what the machine can do now; all programs are probed concurrently.

    A program that was ready ``before`` stays ready, and is probed only with ``include_ready``. If
    it then times out it stays ready: a slow probe must not end runs in progress.
    """
    known = {name: r for name, r in (before.harnesses if before else {}).items() if _is_ready(r)}
    asked = [probe for probe in probes if include_ready or probe.name not in known]
    reports = await asyncio.gather(*(_ask(probe, limit) for probe in asked))
    answers = zip(asked, reports, strict=True)
    found = known | {
        probe.name: report
        for probe, report in answers
        if probe.name not in known or report["state"] != "timed_out"
    }
    harnesses = {probe.name: found[probe.name] for probe in probes}
    ready = [name for name, report in harnesses.items() if _is_ready(report)]
    return MachineStatus(capabilities=(*BASE, *ready), harnesses=harnesses)


def is_complete(status: MachineStatus | None) -> bool:
    """Return whether every program is ready, so that another probe could find nothing new."""
    return status is not None and all(map(_is_ready, status.harnesses.values()))


def _is_ready(report: Mapping[str, str]) -> bool:
    return report["state"] == "ready"


async def _ask(probe: Probe, limit: float) -> dict[str, str]:
    path = _find(probe)
    if path is None:
        return _report("absent", detail=f"{probe.program} was not found on the PATH.")
    if not probe.ask:
        return _report("ready")
    if not probe.may_be_ready(os.environ):
        return _report("not_signed_in", detail=probe.sign_in)
    asking = [_run((path, *words), limit) for words in dict.fromkeys((probe.ask, _VERSION))]
    answers = await asyncio.gather(*asking)
    status, version = answers[0], answers[-1]
    words = version.out.split()
    if status.code is None:
        detail = f"{probe.program} did not answer within {limit:g} s."
        return _report("timed_out", version=words, detail=detail)
    state, detail = probe.judge(status)
    if state == "not_signed_in":
        detail = detail or probe.sign_in
    return _report(state, version=words, detail=detail)


def _find(probe: Probe) -> str | None:
    path = probe.search_path(os.environ.get("PATH", os.defpath), Path.home())
    return shutil.which(probe.program, path=path)


def _report(state: str, *, version: list[str] | None = None, detail: str = "") -> dict[str, str]:
    numbers = [word for word in version or [] if word[:1].isdigit()]
    return {"state": state, "version": numbers[0] if numbers else "", "detail": detail}


async def _run(argv: tuple[str, ...], limit: float) -> ProgramResult:
    """Run a program for at most ``limit`` seconds, then kill its process group."""
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError:
        return ProgramResult(127, "")
    try:
        async with asyncio.timeout(limit):
            out, _ = await child.communicate()
        return ProgramResult(child.returncode, out.decode(errors="replace"))
    except TimeoutError:
        return ProgramResult(None, "")
    finally:
        # Also after a normal exit: a shim may have left children that hold our pipe.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            await child.wait()
