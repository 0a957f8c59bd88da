"""The pages' files: those of this version, and of the last ones, for pages that are still open.

A page loads some of its scripts late. The names of scripts contain a hash of their content, so
those of several versions lie side by side.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from django.core.management import call_command

MANIFEST: Final = "staticfiles.json"
KEPT: Final = 3  # versions whose files stay
_PACKED: Final = (".gz", ".br")


def collect(folder: Path, history: Path) -> None:
    """Copy and compress the static files into ``folder``, and remove what no kept version names.

    ``history`` is the file with the names of the files of those versions, the newest first.
    """
    before = _read_history(history) or [_hashed_names(folder)]
    # What has no hash in its name is copied only if its source is newer: an older version is, too.
    _remove(folder, keeping=set().union(*before))
    call_command("collectstatic", verbosity=0, interactive=False)
    now = _hashed_names(folder)
    kept = [now, *(names for names in before if names != now)][:KEPT]
    _remove(folder, keeping={*_names(folder), MANIFEST, *set().union(*kept)})
    history.write_text(json.dumps([sorted(names) for names in kept]))


def _names(folder: Path) -> dict[str, str]:
    """Return the hashed name of each of the current version's files, by its plain one."""
    try:
        found = json.loads((folder / MANIFEST).read_text())["paths"]
    except (OSError, ValueError, KeyError):
        return {}
    return dict(found)


def _hashed_names(folder: Path) -> set[str]:
    return set(_names(folder).values())


def _read_history(history: Path) -> list[set[str]]:
    try:
        return [set(names) for names in json.loads(history.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def _remove(folder: Path, *, keeping: set[str]) -> None:
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        packed = next((ending for ending in _PACKED if name.endswith(ending)), "")
        if path.is_file() and name.removesuffix(packed) not in keeping:
            path.unlink()
