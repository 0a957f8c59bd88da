"""Repositories that somebody made inside the working folder. Blocking.

Their ``.git`` is neither read nor published: anybody in the sandbox may have written it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from mesh.git.calls import Outside
from mesh.git.view import View
from mesh.lib.git_status import Change
from mesh.lib.quoted_names import quote
from mesh.plain_files import read_plain
from sandboxes.daemon.git import Git, GitFailed

COUNTED: Final = 1000  # files; with more, that many are shown
_LINK: Final = "160000"  # the mode of a repository in git's index


def entry(top: Path, change: Change) -> dict[str, Any]:
    """Return a changed file for a list; a nested repository says how many files it has."""
    listed: dict[str, Any] = {"path": quote(change.path), "status": change.status}
    if change.is_folder:
        listed |= {"nested": True, "files": count(top, change.path)}
    return listed


def count(top: Path, folder: str) -> int:
    """Return how many files a nested repository has; ``COUNTED`` stands for more."""
    number = 0
    for number, _ in enumerate(_files(top, folder), 1):
        if number == COUNTED:
            break
    return number


def linked(git: Git, view: View, base: str) -> list[str]:
    """Return the repositories that were added to the index as links to nowhere.

    Those in ``.gitmodules`` are submodules, and those that ``base`` has are the project's own.

    Raises:
        GitFailed: git can't list the index or ``base``.
    """
    links = _links(git.names(view, "ls-files", "--stage", "-z"))
    if not links:
        return []
    named = _submodules(git, view)
    tree = git.names(view, "ls-tree", "-r", "-z", "--full-tree", base) if base else []
    known = {*named, *_links(tree)}
    return [path for path in links if path not in known]


def files(git: Git, view: View, folders: Sequence[str]) -> list[str]:
    """Return the paths of all files in nested repositories that git would not ignore.

    Raises:
        GitFailed: git can't say what it ignores.
    """
    found = [path for folder in folders for path in _files(view.own.top, folder)]
    given = b"".join(os.fsencode(path) + b"\0" for path in found)
    if not given:
        return []
    said = _about_ignored(git, view, given)
    # For each path four fields: source, line, pattern, path; the first three are empty without one.
    ignored = {
        path
        for pattern, path in zip(said[2::4], said[3::4], strict=True)
        if pattern and not pattern.startswith("!")
    }
    return [path for path in found if path not in ignored]


def _about_ignored(git: Git, view: View, given: bytes) -> list[str]:
    pieces: list[bytes] = []

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return True

    options = ("--no-index", "--verbose", "--non-matching", "-z", "--stdin")
    # Exit code 1 says that none is ignored.
    git.stream(view, "check-ignore", *options, take=take, given=given, succeeds=(0, 1))
    return [os.fsdecode(field) for field in b"".join(pieces).split(b"\0")][:-1]


def _submodules(git: Git, view: View) -> set[str]:
    """Return the paths in ``.gitmodules``, which git reads as data."""
    try:
        text = read_plain(view.own.top / ".gitmodules")
    except OSError:
        return set()
    options = ("--file", "-", "-z", "--get-regexp", r"^submodule\..*\.path$")
    try:
        said = git.names(Outside(view.place), "config", *options, given=os.fsencode(text))
    except GitFailed:
        return set()  # none, or no configuration at all
    return {record.partition("\n")[2] for record in said}


def _links(records: Iterable[str]) -> list[str]:
    """Return the paths of repositories in a listing of the index or of a tree."""
    parts = (record.partition("\t") for record in records)
    return [path for facts, _, path in parts if facts.startswith(_LINK)]


def _files(top: Path, folder: str) -> Iterator[str]:
    for place, inside, names in os.walk(top / folder, followlinks=False):
        inside[:] = [name for name in inside if name.lower() != ".git"]
        here = os.path.relpath(place, top)
        linked_folders = [name for name in inside if os.path.islink(os.path.join(place, name))]
        for name in (*names, *linked_folders):
            if name.lower() != ".git":
                yield os.path.join(here, name)
