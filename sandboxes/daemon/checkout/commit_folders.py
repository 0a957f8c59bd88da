"""What git writes for a commit in a sandbox's folder, for agents with a sandbox of their own.

In a worktree that is its own git directory, and in the person's repository the objects, and the
references and logs beside the chat's branch. Configuration and hooks stay as they are, and so do
the files that say where they are: whoever uses git there next, Mesh or the person, would run them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agents.harness.base import GitFolders
from mesh.git import own, separate
from mesh.plain_files import read_plain

_PROTECTED: Final = (
    *("commondir", "config", "config.worktree", "gitdir", "hooks", "info", "modules"),
    *("worktrees", separate.FOLDER),
)
_HEADS: Final = "refs/heads"


def commit_folders(root: Path) -> GitFolders | None:
    """Return what a commit in the folder of the sandbox in ``root`` writes.

    ``None`` where the folder has no repository, or works in the person's own checkout, or where
    something in it is not as git makes it.
    """
    found = own.load(root)
    if found is None or not (found.origin or found.is_worktree_in(root)):
        return None
    try:
        found.check()
        git_dir, common = found.git_dir.resolve(strict=True), found.common.resolve(strict=True)
    except (own.ForeignGit, OSError):
        return None
    parts = (git_dir, *(() if found.origin else _shared(git_dir, common)))
    if not all(_is_folder(part) for part in parts):
        return None
    protected = (*(git_dir / name for name in _PROTECTED), common / "objects/info")
    return GitFolders(tuple(map(str, parts)), tuple(dict.fromkeys(map(str, protected))))


def _shared(git_dir: Path, common: Path) -> Iterator[Path]:
    """Yield what a worktree writes in the person's repository."""
    yield common / "objects"
    if (common / "reftable").is_dir():
        yield common / "reftable"
    folder = _folder_of_branch(git_dir)
    for heads in (common / _HEADS, common / "logs" / _HEADS):
        if _is_folder(heads):
            # Where no branch of that folder has a file yet, git makes the folder.
            yield heads / folder if folder and _is_folder(heads / folder) else heads


def _folder_of_branch(git_dir: Path) -> str:
    """Return the first folder of the branch's name, such as ``mesh`` of ``mesh/abc``; empty where
    it has none. An agent may have written it."""
    try:
        text = read_plain(git_dir / "HEAD")
    except OSError:
        return ""
    folder, slash, _ = text.removeprefix(f"ref: {_HEADS}/").partition("/")
    is_name = folder not in ("", ".", "..") and text.startswith(f"ref: {_HEADS}/")
    return folder if slash and is_name else ""


def _is_folder(path: Path) -> bool:
    """Return whether there is a folder, and no link to one: its target would become writable."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
