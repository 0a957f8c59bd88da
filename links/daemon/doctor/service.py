"""The doctor's look at the service: does it find what a terminal of the person's finds?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from links.daemon import service_environment, service_files, ssh_agent
from links.daemon.config import own_command
from links.daemon.doctor.finding import Finding
from links.daemon.needed_variables import is_needed
from links.daemon.probe import Probe, find
from links.daemon.service_environment import Found
from links.daemon.service_files import Service
from mesh.agent_programs import is_of_an_agent


def unit_of(server: str, user_home: Path) -> Path:
    """Return where the service's file is, if it is installed."""
    path_of = service_files.plist_path if sys.platform == "darwin" else service_files.unit_path
    return path_of(user_home, Service(server, (), {}).name)


def check_service(
    home: Path,
    server: str,
    probes: Sequence[Probe],
    *,
    user_home: Path | None = None,
    look: Callable[..., Found] = service_environment.find,
) -> Iterator[Finding]:
    """Yield how the service's view differs from this terminal's; nothing without a service."""
    try:
        text = unit_of(server, user_home or Path.home()).read_text(encoding="utf-8")
    except OSError:
        return
    if service_files.AS_SERVICE not in text:
        yield Finding(
            "warn",
            "service",
            "was installed by an older version: it keeps the PATH of that moment",
            f"Install it again: {own_command('service', 'install', server)}",
        )
        return
    # As it is started: with what its manager gives it, not with what this terminal has.
    found = look(home, environ=_bare(os.environ))
    yield _shell(found)
    yield from _programs(found, probes)
    yield from _variables(found)
    yield from _ssh_agent(found)


def _bare(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a service manager would start a program with."""
    kept = ("HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
    return {"PATH": os.defpath} | {name: environ[name] for name in kept if name in environ}


def _shell(found: Found) -> Finding:
    answer = found.answer
    if answer.trouble:
        return Finding(
            "warn",
            "shell",
            f"{answer.shell}: {answer.trouble}; the service uses the PATH of its installation",
            "Let its start files skip what waits or prints when DECO_LINK_ASKS is set.",
        )
    return Finding("ok", "shell", f"{answer.shell} answers")


def _programs(found: Found, probes: Sequence[Probe]) -> Iterator[Finding]:
    path = found.variables["PATH"]
    for probe in probes:
        here = find(probe)
        if here and find(probe, path) is None:
            yield Finding(
                "warn",
                "service",
                f"{probe.program} is {here} in this terminal, and the service does not find it",
                f"Set the PATH in a start file of {found.answer.shell}, or keep this one: "
                + own_command("service", "env", "import", "PATH"),
            )
    if shutil.which("git") and shutil.which("git", path=path) is None:
        yield Finding("warn", "service", "does not find git", "Set the PATH in a start file.")


def _variables(found: Found) -> Iterator[Finding]:
    here = {
        name: value
        for name, value in os.environ.items()
        if value and name != ssh_agent.VARIABLE and is_needed(name) and is_of_an_agent(name)
    }
    for words, names in (
        ("has no", [name for name in here if name not in found.variables]),
        (
            "has another value of",
            [n for n, v in here.items() if n in found.variables and found.variables[n] != v],
        ),
    ):
        if names:
            yield Finding(
                "warn",
                "service",
                f"{words} {', '.join(sorted(names))}",
                f"If its agents need it: {own_command('service', 'env', 'import', *sorted(names))}",
            )


def _ssh_agent(found: Found) -> Iterator[Finding]:
    here = os.environ.get(ssh_agent.VARIABLE, "")
    is_missing = not found.variables.get(ssh_agent.VARIABLE)
    if is_missing and ssh_agent.is_listening(here):
        yield Finding(
            "warn",
            "service",
            "finds no SSH agent; this terminal has one",
            f"Keep its address: {own_command('service', 'env', 'import', ssh_agent.VARIABLE)}",
        )
