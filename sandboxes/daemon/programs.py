"""Which file a logical program name means on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from mesh import launch
from mesh.lib.errors import AppError

Finder = Callable[[Mapping[str, str]], list[str]]

# Where npm and Homebrew put programs for everybody.
SHARED = ("/usr/local/bin", "/opt/homebrew/bin")


class ProgramMissing(AppError):
    """The agent's program is not on this machine."""

    code = "cli_missing"
    text = "The agent's program was not found on this machine."
    hint = "Install it, make sure that it is on the PATH, and send the message again."


def find_program(name: str, env: Mapping[str, str]) -> list[str]:
    """Return the argv to which the adapter's arguments are added.

    Raises:
        ProgramMissing: it is neither on the PATH of ``env`` nor in a usual folder.
    """
    if finder := PROGRAMS.get(name):
        return finder(env)
    return [_on_path(name, env)]


def _demo_agent(env: Mapping[str, str]) -> list[str]:
    # The file's place is looked up without importing anything of it.
    package = find_spec("agents")
    if package is None or not package.submodule_search_locations:
        raise ProgramMissing("The demo agent is not installed.")
    script = Path(package.submodule_search_locations[0]) / "demo_agent.py"
    # As it is: modules that lie beside the script would hide those of Python (selectors).
    return launch.python(str(script))


def _usually_in(name: str, *folders: str) -> Finder:
    """Return a finder that also looks where the program's own installer puts it."""

    def find(env: Mapping[str, str]) -> list[str]:
        home = Path(env.get("HOME") or Path.home())
        usual = (*(home / folder for folder in folders), *map(Path, SHARED))
        return [_on_path(name, env, usual)]

    return find


def _on_path(name: str, env: Mapping[str, str], usual: tuple[Path, ...] = ()) -> str:
    # A laptop's link started from a desktop icon has a short PATH: hence the usual folders.
    folders = os.pathsep.join([env.get("PATH", os.defpath), *map(str, usual)])
    found = shutil.which(name, path=folders)
    if found is None:
        raise ProgramMissing(f"“{name}” was not found on this machine.")
    return found


PROGRAMS: dict[str, Finder] = {
    "claude": _usually_in("claude", ".local/bin", ".claude/local"),
    "codex": _usually_in("codex", ".local/bin"),
    "gemini": _usually_in("gemini", ".local/bin"),
    "mesh-demo-agent": _demo_agent,
    "opencode": _usually_in("opencode", ".opencode/bin", ".local/bin"),
}
