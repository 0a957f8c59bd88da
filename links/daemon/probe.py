"""The state of the agents' programs on this machine: absent, not signed in, timed out, ready.

Probing starts programs that take seconds to start: a ready one is probed again only now and then,
and one that can't be signed in is not started at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import tomllib
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
    """Read the exit code: 0 if somebody is signed in."""
    if ran.code == 0:
        return "ready", ""
    return "not_signed_in", ""


def judge_codex(ran: ProgramResult) -> tuple[str, str]:
    """Read the exit code of ``codex login status``, which knows only OpenAI's sign-in."""
    if ran.code == 1 and (provider := _own_provider(os.environ)):
        return "ready", provider
    return judge_exit_code(ran)


def _own_provider(environ: Mapping[str, str]) -> str:
    """Return the model provider of the person's own in Codex's settings, if its key is set and
    reaches the program; empty otherwise."""
    home = environ.get("CODEX_HOME") or Path(environ.get("HOME") or Path.home()) / ".codex"
    try:
        settings = tomllib.loads((Path(home) / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    name, providers = settings.get("model_provider"), settings.get("model_providers")
    if not isinstance(name, str) or not isinstance(providers, dict):
        return ""
    provider = providers.get(name)
    if not isinstance(provider, dict):
        return ""
    key = provider.get("env_key")
    if isinstance(key, str) and key:
        is_usable = bool(environ.get(key)) and agent_programs.is_passed(key, command=("codex",))
    else:
        is_usable = provider.get("requires_openai_auth") is False
    return name if is_usable else ""


def judge_start(ran: ProgramResult) -> tuple[str, str]:
    """Read ``--version`` of a program that can't report who is signed in."""
    return ("ready", "") if ran.code == 0 else ("timed_out", "It does not start here.")


def is_signed_in(sign_in: ProgramProbe, environ: Mapping[str, str]) -> bool:
    """Return whether a sign-in was found, or the program leaves no trace of one."""
    variables, files = sign_in.signed_in_variables, sign_in.signed_in_files
    settings = sign_in.signed_in_settings
    if not variables and not files and not settings:
        return True
    home = Path(environ.get(sign_in.home_variable) or environ.get("HOME") or Path.home())
    return (
        any(environ.get(name) for name in variables)
        or any(_place(name, home, environ).is_file() for name in files)
        or any(_has(_place(name, home, environ), keys) for name, keys in settings.items())
    )


def _place(name: str, home: Path, environ: Mapping[str, str]) -> Path:
    """Return the path of a sign-in's file; one that is not there where its variable is unset."""
    first, _, rest = name.partition("/")
    if not first.startswith("$"):
        return home / name
    return Path(environ.get(first[1:]) or os.devnull, rest)


def _has(path: Path, keys: Sequence[str]) -> bool:
    """Return whether the settings in ``path`` have one of ``keys`` with a value; without keys,
    whether they have anything."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if path.suffix == ".toml":
            found = tomllib.loads(text)
        else:  # programs allow comments in it
            found = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and any(found.get(key) for key in keys or found)


_JUDGES: Final[Mapping[Judge, Callable[[ProgramResult], tuple[str, str]]]] = {
    "codex": judge_codex,
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


def is_any_ready(status: MachineStatus | None) -> bool:
    """Return whether an agent can work here."""
    return status is not None and any(map(_is_ready, status.harnesses.values()))


def is_one_gone(status: MachineStatus | None, probes: Sequence[Probe]) -> bool:
    """Return whether a program that was ready is no longer found: it was moved, or removed."""
    known = status.harnesses if status else {}
    ready = [probe for probe in probes if probe.name in known and _is_ready(known[probe.name])]
    return any(find(probe) is None for probe in ready)


def is_complete(status: MachineStatus | None) -> bool:
    """Return whether every program is ready, so that another probe could find nothing new."""
    return status is not None and all(map(_is_ready, status.harnesses.values()))


def _is_ready(report: Mapping[str, str]) -> bool:
    return report["state"] == "ready"


async def _ask(probe: Probe, limit: float) -> dict[str, str]:
    path = find(probe)
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


def find(probe: Probe, path: str | None = None) -> str | None:
    """Return where the program is, through ``path`` or else our own PATH; ``None`` if nowhere."""
    path = os.environ.get("PATH", os.defpath) if path is None else path
    path = probe.search_path(path, Path.home())
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
