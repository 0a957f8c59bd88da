"""Which environment variables a child process gets: an allow-list, so that no secret leaks.

Variables that the person set for their own tools pass; everything else, above all ``MESH_*``, is
dropped. An agent's program also gets the variables that ``mesh.agent_programs`` names for it, such
as its key, but not those of other agents; programs that run for a project (shell commands,
installers, dev servers) get no agent's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from mesh.agent_programs import is_passed

_ALLOWED = re.compile(
    r"""
    PATH | HOME | USER | LOGNAME | SHELL | TERM | COLORTERM | TMPDIR | TZ
    | LANG | LANGUAGE | LC_[A-Z_]+
    | XDG_[A-Z_]+ | DBUS_SESSION_BUS_ADDRESS | DISPLAY | WAYLAND_DISPLAY
    | SSH_AUTH_SOCK | GIT_SSH | GIT_SSH_COMMAND
    | https?_proxy | no_proxy | all_proxy | HTTPS?_PROXY | NO_PROXY | ALL_PROXY
    | SSL_CERT_FILE | SSL_CERT_DIR | NODE_EXTRA_CA_CERTS | REQUESTS_CA_BUNDLE
    | NVM_DIR | VOLTA_HOME | PNPM_HOME | COREPACK_HOME | BUN_INSTALL | DENO_DIR | DENO_INSTALL_ROOT
    | PYENV_ROOT | (npm_config_|NPM_CONFIG_)(registry|REGISTRY|cache|CACHE|userconfig|USERCONFIG)
    | PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|CONFIG_FILE|CACHE_DIR|FIND_LINKS|NO_INDEX)
    | UV_(INDEX|DEFAULT_INDEX|INDEX_URL|CACHE_DIR|CONFIG_FILE|FIND_LINKS|OFFLINE|PYTHON)
    """,
    re.VERBOSE,
)


def child_env(
    parent: Mapping[str, str], additions: Mapping[str, str], *, program: str = ""
) -> dict[str, str]:
    """Return the environment of an agent's ``program``: the allowed part of ``parent``, then
    ``additions``."""
    allowed = {name: value for name, value in parent.items() if is_allowed(name, program=program)}
    return _anchored(allowed) | dict(additions)


def tool_env(parent: Mapping[str, str], additions: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a project's programs: as ``child_env``, without agents' keys."""
    allowed = {name: value for name, value in parent.items() if _ALLOWED.fullmatch(name)}
    return _anchored(allowed) | dict(additions)


def _anchored(env: dict[str, str]) -> dict[str, str]:
    """Return ``env`` with absolute PATH entries only: others would mean the agent's folder."""
    if "PATH" in env:
        folders = env["PATH"].split(os.pathsep)
        env["PATH"] = os.pathsep.join(folder for folder in folders if os.path.isabs(folder))
    return env


def is_allowed(name: str, *, program: str = "") -> bool:
    """Return whether an agent's ``program`` may see the variable ``name``."""
    return _ALLOWED.fullmatch(name) is not None or is_passed(name, program=program)
