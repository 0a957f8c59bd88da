"""Stores the configuration on disk: beside the working folder, never in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mesh.lib.errors import AppError
from mesh.plain_files import read_plain, write_plain

NAME = "config.json"
CHOICE = "preview.json"


class NotKept(AppError):
    code = "not_kept"
    text = "The configuration could not be written to the disk."
    hint = "Free space on that machine, then try again."
    status = 500


def load(root: Path) -> dict[str, Any] | None:
    """Return the stored configuration; ``None`` if there is none, or none that can be read."""
    try:
        value = json.loads(read_plain(root / NAME))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def load_choice(root: Path) -> int | None:
    """Return the port that a person chose in the preview's menu; ``None`` if there is none."""
    try:
        port = json.loads(read_plain(root / CHOICE)).get("port")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return port if type(port) is int and 0 < port < 65536 else None


def save(root: Path, name: str, text: str) -> None:
    """Write a file atomically, readable only by this user.

    Raises:
        NotKept: the disk can't store it.
    """
    draft = root / f".{name}.new"
    try:
        write_plain(draft, text)
        draft.replace(root / name)
    except OSError as exc:
        raise NotKept from exc
