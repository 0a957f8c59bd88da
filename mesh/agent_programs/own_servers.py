"""Reads which MCP servers a program would start by its person's own settings."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mesh.agent_programs.table import OwnServers

SIZE: Final = 1024 * 1024  # bytes of a file that is read
MOST: Final = 100  # servers
LONGEST: Final = 100  # characters of a name
# A text of JSON, which stays; or a comment, or a comma before the end of a list.
_COMMENT: Final = r"//[^\n]*+|/\*(?>.*?(?:\*/|\Z))"
_BESIDE: Final = re.compile(
    rf'("(?:[^"\\\n]|\\.)*+")|{_COMMENT}|,(?=(?:\s|{_COMMENT})*+[}}\]])', re.DOTALL
)


def is_taken(own: OwnServers, environ: Mapping[str, str]) -> bool:
    """Return whether the person uses the variable by which the servers would be turned off."""
    return bool(own.off and environ.get(own.off, "").strip())


def find(own: OwnServers, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the servers that the settings turn on, for a program with the environment ``environ``
    in ``folder``: their names, with a hash of what the settings say of each.

    Reads files; those that can't be read have none.
    """
    found: dict[str, bool] = {}
    said: dict[str, list[Any]] = {}
    for place in own.settings:
        if (path := _path(place, environ, folder)) is None:
            continue
        servers = _read(path).get(own.key)
        for name, server in servers.items() if isinstance(servers, dict) else ():
            if isinstance(server, dict) and name.isprintable() and 0 < len(name) <= LONGEST:
                is_on = server.get("enabled", found.get(name, True)) is not False
                found[name] = is_on and server.get("disabled") is not True
                said.setdefault(name, []).append(server)
    on = [name for name, is_on in found.items() if is_on][:MOST]
    return {name: fingerprint(name, said[name]) for name in on}


def fingerprint(*facts: Any) -> str:
    """Return a hash of facts that are JSON; it reveals none of them."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _path(place: str, environ: Mapping[str, str], folder: Path) -> Path | None:
    first, _, rest = place.partition("/")
    if first == ".":
        return folder / rest
    if first.startswith("$"):
        value = environ.get(first[1:])
        return Path(value, rest) if value else None
    home = environ.get("HOME")
    return Path(home, place) if home else None


def _read(path: Path) -> dict[str, Any]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            text = file.read(SIZE).decode(errors="replace")
        found = json.loads(_BESIDE.sub(lambda m: m[1] or "", text.removeprefix("\ufeff")))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
