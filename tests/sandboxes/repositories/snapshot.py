"""What a folder holds, so that two moments can be compared byte by byte."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.sandboxes.repositories.making import git

State = Mapping[str, tuple[object, ...]]


def files(top: Path, *, times: bool = False, without: str = "") -> State:
    """Return kind, mode and contents of everything below ``top``, by path.

    ``times`` adds when each was changed; ``without`` is a pattern of paths to leave out.
    """
    return {
        path: _facts(entry, times=times)
        for path, entry in _walk(os.fspath(top), "")
        if not (without and re.fullmatch(without, path))
    }


def _walk(folder: str, seen_from: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            path = f"{seen_from}{entry.name}"
            yield path, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{path}/")


def _facts(entry: os.DirEntry[str], *, times: bool) -> tuple[object, ...]:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        return ("folder", stat.S_IMODE(found.st_mode))
    if stat.S_ISLNK(found.st_mode):
        return ("link", os.readlink(entry.path))
    with open(entry.path, "rb") as file:
        digest = hashlib.sha1(file.read()).hexdigest()
    # Git touches an object when it would write the same one again,
    # and the shared part of a split index when it reads it.
    is_touched = "/objects/" in entry.path or entry.name.startswith("sharedindex.")
    when = (found.st_mtime_ns,) if times and not is_touched else ()
    return ("file", stat.S_IMODE(found.st_mode), digest, *when)


@dataclass(frozen=True, slots=True)
class Persons:
    """Everything of a person's below ``folder``, but what a chat may add: its own branch, its
    worktree's entry, objects, and what a fetch or a push learns of the server."""

    files: State
    refs: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, repository: Path | None, *, branch: str) -> Persons:
        refs = _refs(repository, branch) if repository else {}
        return cls(files(folder, times=True, without=_may_change(branch)), refs)

    def changes(self, later: Persons) -> dict[str, object]:
        """Return what differs, by path or reference; objects may have been added."""
        found = {**_differences(self.refs, later.refs), **_differences(self.files, later.files)}
        return {
            path: what
            for path, what in found.items()
            if not (path not in self.files and _MAY_BE_ADDED.fullmatch(path))
        }


# Objects, and folders that git makes for our branch and for what a push learns of the server.
_MAY_BE_ADDED = re.compile(
    r"(.*/)?(objects/.*|worktrees|refs/heads/mesh|refs/remotes|logs(/refs(/heads|/remotes)?)?)"
)


def _may_change(branch: str) -> str:
    mine = rf"{re.escape(branch)}|mesh(/.*)?"
    theirs = rf"refs/remotes/[^/]+(/(main|HEAD|{re.escape(branch)}))?"
    references = rf"(logs/)?(refs/heads/({mine})|{theirs})|reftable(/.*)?"
    return rf"ran|(server|fork|library)\.git(/.*)?|(.*/)?({references})"


def _refs(repository: Path, branch: str) -> dict[str, str]:
    value = "%(if)%(symref)%(then)%(symref)%(else)%(objectname)%(end)"
    said = git(repository, "for-each-ref", f"--format=%(refname) {value}")
    found = dict(line.split(" ", 1) for line in said.splitlines())
    return {name: value for name, value in found.items() if not _is_ours(name, branch)}


def _is_ours(name: str, branch: str) -> bool:
    is_of_server = name.startswith("refs/remotes/") and name.split("/", 3)[3] in ("main", branch)
    return name in (f"refs/heads/{branch}",) or name.startswith("refs/heads/mesh/") or is_of_server


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    return {
        key: (before.get(key), after.get(key))
        for key in {*before, *after}
        if before.get(key) != after.get(key)
    }
