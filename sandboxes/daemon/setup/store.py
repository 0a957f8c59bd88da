"""The configuration on disk: beside the working folder, never in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mesh.lib.errors import AppError
from mesh.plain_files import read_plain, write_plain

NAME = "config.json"


class NotKept(AppError):
    code = "not_kept"
    text = "The configuration could not be written to the disk."
    hint = "Make room on that machine, then try again."
    status = 500


def load(root: Path) -> dict[str, Any] | None:
    """Return what was kept; ``None`` when nothing was, or nothing that can be read."""
    try:
        value = json.loads(read_plain(root / NAME))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def save(root: Path, name: str, text: str) -> None:
    """Write a file that only this user may read, in one step.

    Raises:
        NotKept: the disk does not take it.
    """
    draft = root / f".{name}.new"
    try:
        write_plain(draft, text)
        draft.replace(root / name)
    except OSError as exc:
        raise NotKept from exc
