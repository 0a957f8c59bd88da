"""Which of the person's variables an agent's program sees, besides those that all programs see."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from mesh.agent_programs.registry import known_agents, recognize
from mesh.agent_programs.table import load

# What a person sets for their tools: all programs see it.
_COMMON: Final = re.compile(
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
    re.VERBOSE | re.ASCII,
)

_NAME: Final = re.compile(r"[A-Z0-9_]+", re.ASCII)
# Mesh's own variables, which no agent may see.
_NAMEABLE: Final = re.compile(
    r"(?!(?:MESH|DJANGO|DECO|DECOCMS|DATABASE|REDIS)_)[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII
)


def is_common(variable: str) -> bool:
    """Return whether every program may see ``variable``: it belongs to the person's tools."""
    return _COMMON.fullmatch(variable) is not None


def is_of_an_agent(variable: str) -> bool:
    """Return whether an agent that Mesh knows may see ``variable``, such as its key."""
    if any(_matches(variable, each.withheld) for each in load()):
        return False
    known = (each.environment for each in known_agents())
    return any(_matches(variable, each) for each in (*(a.environment for a in load()), *known))


def is_passed(variable: str, *, command: Sequence[str] = (), named: Collection[str] = ()) -> bool:
    """Return whether the agent that ``command`` starts may see ``variable``.

    A program that Mesh doesn't know sees only what the person ``named`` for it. Variables of one
    agent's session are withheld from all.
    """
    if variable in named:
        return is_nameable(variable)
    if any(_matches(variable, each.withheld) for each in load()):
        return False
    known = recognize(command)
    return known is not None and _matches(variable, known.environment)


def is_nameable(variable: str) -> bool:
    """Return whether a person may name ``variable`` for an agent; Mesh's own are refused."""
    return _NAMEABLE.fullmatch(variable) is not None


def _matches(variable: str, patterns: tuple[str, ...]) -> bool:
    return _NAME.fullmatch(variable) is not None and any(
        variable.startswith(pattern[:-1]) if pattern.endswith("*") else variable == pattern
        for pattern in patterns
    )
