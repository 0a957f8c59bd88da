"""Finds the file of an agent's program on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from mesh import launch
from mesh.agent_programs import find_by_name
from mesh.lib.errors import AppError

Finder = Callable[[Mapping[str, str]], list[str]]


class ProgramMissing(AppError):
    """The agent's program is not on this machine."""

    code = "cli_missing"
    text = "The agent's program was not found on this machine."
    hint = "Install it, make sure that it is on the PATH, then send the message again."


def find_program(name: str, env: Mapping[str, str]) -> list[str]:
    """Return the argv of program ``name``, without the adapter's arguments.

    Raises:
        ProgramMissing: it is neither on the PATH of ``env`` nor in a usual folder.
    """
    if finder := PROGRAMS.get(name):
        return finder(env)
    path = env.get("PATH", os.defpath)
    if known := find_by_name(name):
        path = known.search_path(path, Path(env.get("HOME") or Path.home()))
    if (found := shutil.which(name, path=path)) is None:
        raise ProgramMissing(f"“{name}” was not found on this machine.")
    return [found]


def _demo_agent(env: Mapping[str, str]) -> list[str]:
    # The file is located without importing it.
    package = find_spec("agents")
    if package is None or not package.submodule_search_locations:
        raise ProgramMissing("The demo agent is not installed.")
    script = Path(package.submodule_search_locations[0]) / "demo_agent.py"
    # By path: as a module, files beside the script would hide Python's own (selectors).
    return launch.python(str(script))


# Programs that are not found by name.
PROGRAMS: dict[str, Finder] = {"mesh-demo-agent": _demo_agent}
