"""The submodules that Mesh filled in a sandbox's folder; recorded beside it. Blocking.

Each is a repository of its own with its ``.git`` inside the submodule's folder, as in a clone of
ours: it moves along with the folder, and nothing of it is in the person's own repository. A
submodule that somebody else filled is not recorded, and Mesh does not look into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mesh.git import own
from mesh.git.own import ForeignGit, Own
from mesh.git.view import View
from mesh.plain_files import read_plain, write_plain

RECORD: Final = "submodules.json"
PLACE: Final = "submodules"  # the folder with our view of each
_MODULE: Final = "160000"  # the mode of a submodule


@dataclass(frozen=True, slots=True)
class Filled:
    """A submodule that Mesh filled: its path, the commit it was filled with, and its address."""

    path: str
    commit: str
    origin: str


@dataclass(frozen=True, slots=True)
class Record:
    """Which submodules were filled, and whether some are still to be."""

    filled: tuple[Filled, ...] = ()
    is_complete: bool = False


def load(root: Path) -> Record | None:
    """Return the record of the sandbox in ``root``; ``None`` before there is one."""
    try:
        given = json.loads(read_plain(root / RECORD))
        filled = tuple(filter(None, map(_read, given["filled"])))
        return Record(filled, given.get("isComplete") is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def save(root: Path, record: Record) -> None:
    """Store the record of the sandbox in ``root``."""
    filled = [{"path": s.path, "commit": s.commit, "origin": s.origin} for s in record.filled]
    draft = root / f".{RECORD}.new"
    write_plain(draft, json.dumps({"filled": filled, "isComplete": record.is_complete}))
    draft.replace(root / RECORD)


def forget(root: Path) -> None:
    """Remove the record of the sandbox in ``root``: its folder is made again."""
    (root / RECORD).unlink(missing_ok=True)


def _read(value: Any) -> Filled | None:
    fields = tuple(value[name] for name in ("path", "commit", "origin"))
    return Filled(*fields) if all(isinstance(field, str) and field for field in fields) else None


def own_of(filled: Filled, top: Path) -> Own:
    """Return the git directory of a filled submodule of the work tree ``top``.

    Raises:
        ForeignGit: the submodule is gone, or a link on the way to it leads elsewhere.
    """
    folder = top
    for part in filled.path.split("/"):
        folder /= part
        try:
            is_folder = stat.S_ISDIR(folder.lstat().st_mode)
        except OSError:
            is_folder = False
        if not is_folder or part in ("", ".", ".."):
            raise ForeignGit(f"The submodule {filled.path} is not the one that Mesh filled.")
    found = own.of_clone(folder, filled.origin)
    found.check()
    return found


def owns_in(root: Path, top: Path) -> list[Own]:
    """Return the git directories of all submodules that Mesh filled and that are still there."""
    found: list[Own] = []
    for filled in (load(root) or Record()).filled:
        try:
            found.append(own_of(filled, top))
        except ForeignGit:
            continue
    return found


def view_of(filled: Filled, top: Path, root: Path, parent: Mapping[str, str]) -> View:
    """Return a filled submodule as our calls see it; ``root`` is the sandbox's own folder.

    Raises:
        ForeignGit, GitMissing: see ``View.open`` and ``own_of``.
    """
    return View.open(own_of(filled, top), place_in(root, filled.path), parent)


def place_in(root: Path, path: str) -> Path:
    """Return the folder for what Mesh keeps of a submodule in ``root``; made if needed."""
    place = root / PLACE / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    return place


# Lists the submodules of a commit, and its folders, but not its files.
LISTED: Final = ("ls-tree", "-r", "-d", "-z", "HEAD")


def modules_in(listing: bytes) -> dict[str, str]:
    """Return path → commit of the submodules in the output of ``LISTED``."""
    found: dict[str, str] = {}
    for record in listing.split(b"\0"):
        facts, mark, path = record.partition(b"\t")
        fields = facts.decode(errors="replace").split(" ")
        if mark and fields[0] == _MODULE:
            found[os.fsdecode(path)] = fields[2]
    return found


def unknown_in(modules: Sequence[str], record: Record | None, top: Path) -> list[str]:
    """Return the submodules of a work tree that somebody else filled."""
    ours = {filled.path for filled in record.filled} if record else set()
    return [path for path in modules if path not in ours and is_filled(top / path)]


def is_filled(folder: Path) -> bool:
    """Return whether anything is in a folder, or a link is in its place."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return os.path.islink(folder)
