"""Which environment variables a child process gets: an allow-list, so that no secret leaks.

Variables that the person set for their own tools pass; everything else, above all ``MESH_*``, is
dropped. An agent's program also gets the variables that ``mesh.agent_programs`` names for it, such
as its key, and those that the person named for it, but not those of other agents; programs that
run for a project (shell commands, installers, dev servers) get no agent's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from mesh.agent_programs import is_common, is_passed


def child_env(
    parent: Mapping[str, str],
    additions: Mapping[str, str],
    *,
    command: Sequence[str] = (),
    named: Collection[str] = (),
) -> dict[str, str]:
    """Return the environment of the agent that ``command`` starts: the allowed part of ``parent``,
    which has what the person ``named`` for it, then ``additions``."""
    allowed = {
        name: value
        for name, value in parent.items()
        if is_allowed(name, command=command, named=named)
    }
    return _anchored(allowed) | dict(additions)


def tool_env(parent: Mapping[str, str], additions: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a project's programs: as ``child_env``, without agents' keys."""
    allowed = {name: value for name, value in parent.items() if is_common(name)}
    return _anchored(allowed) | dict(additions)


def _anchored(env: dict[str, str]) -> dict[str, str]:
    """Return ``env`` with absolute PATH entries only: others would mean the agent's folder."""
    if "PATH" in env:
        folders = env["PATH"].split(os.pathsep)
        env["PATH"] = os.pathsep.join(folder for folder in folders if os.path.isabs(folder))
    return env


def is_allowed(name: str, *, command: Sequence[str] = (), named: Collection[str] = ()) -> bool:
    """Return whether the agent that ``command`` starts may see the variable ``name``."""
    if is_common(name):
        return True
    return is_passed(name, command=command, named=named)
