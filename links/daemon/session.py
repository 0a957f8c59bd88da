"""The session that a server on this machine mints for its own development link."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from links.daemon.errors import NoSession
from mesh.plain_files import read_plain

WITHIN: Final = 30.0  # seconds that the server may take to start
STEP: Final = 0.25


@dataclass(frozen=True, slots=True)
class Session:
    """``path`` is the file; its token is read again for each connection."""

    target: str
    path: Path


def path_of(home: Path) -> Path:
    return home / "session.json"


def wait_for_session(home: Path, *, within: float = WITHIN) -> Session:
    """Return the session; wait for the server that is starting on this machine. Blocks.

    Raises:
        NoSession: it did not appear in time.
    """
    end = time.monotonic() + within
    while (found := read_session(home)) is None:
        if time.monotonic() > end:
            raise NoSession(f"[dev-link] {path_of(home)} did not appear within {within:g} s.")
        time.sleep(STEP)  # another program writes it: no event reports that
    return found


def read_session(home: Path) -> Session | None:
    """Return the session in ``home``; ``None`` if it is missing or incomplete."""
    path = path_of(home)
    try:
        value = json.loads(read_plain(path))
        required = [value[name] for name in ("target", "clientId", "accessToken", "createdAt")]
        required.append(value["user"]["sub"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) and text for text in required):
        return None
    return Session(target=value["target"], path=path)
