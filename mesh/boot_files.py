"""Tells files that a project's installer and dev server changed apart from a person's work.

The sandbox records such files with their state (``boot.json`` beside the working folder). A file
in the same state is nobody's work; one that has changed since is.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from mesh.lib.git_status import Change
from mesh.plain_files import open_plain, read_plain

NAME: Final = "boot.json"
MOST: Final = 1000  # files; a project that makes more should have git ignore them
HASHED: Final = 1024 * 1024  # bytes; a larger file is compared by size and time


def load(root: Path, name: str = NAME) -> dict[str, str]:
    """Return the marks recorded in a sandbox's folder, by path. Blocking."""
    try:
        noted = json.loads(read_plain(root / name))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(noted, dict):
        return {}
    return {path: mark for path, mark in noted.items() if isinstance(mark, str) and mark}


def without(changes: Iterable[Change], top: Path, noted: Mapping[str, str]) -> list[Change]:
    """Return the changes that are somebody's work. Blocking."""
    return [change for change in changes if not is_noted(change, top, noted)]


def is_noted(change: Change, top: Path, noted: Mapping[str, str]) -> bool:
    """Return whether a file is still as the project's start left it. Blocking."""
    return change.path in noted and noted[change.path] == mark(top, change)


def mark(top: Path, change: Change) -> str:
    """Return a fingerprint of a change as it is now; empty if there is none."""
    path = top / change.path
    try:
        facts = path.lstat()
    except OSError:
        return f"{change.status} gone" if "D" in change.status else ""
    if stat.S_ISLNK(facts.st_mode):
        return f"{change.status} link {os.readlink(path)}"
    if not stat.S_ISREG(facts.st_mode):
        return ""
    if facts.st_size > HASHED:
        return f"{change.status} {facts.st_size} {facts.st_mtime_ns}"
    try:
        # The file may have been replaced since ``lstat``: see ``plain_files``.
        handle = open_plain(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            digest = hashlib.sha256(file.read(HASHED + 1)).hexdigest()
    except OSError:
        return ""
    return f"{change.status} {facts.st_mode:o} {digest}"
