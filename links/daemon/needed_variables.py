"""Which of the person's variables a link that runs as a service needs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mesh.agent_programs import is_common, is_nameable, is_of_an_agent

# They describe the session that somebody sits at, or were given to the service itself.
_OF_A_SESSION: Final = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "TMPDIR"),
        *("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"),
        *("XDG_SESSION_ID", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS", "XDG_SEAT", "XDG_VTNR"),
    }
)


def is_needed(name: str, named: Collection[str] = ()) -> bool:
    """Return whether agents, or the tools that they start, may need ``name``.

    ``named`` are those that the person named with ``--acp-env``.
    """
    if name in named:
        return is_nameable(name)
    return name not in _OF_A_SESSION and (is_common(name) or is_of_an_agent(name))
