"""The entries of worktrees in a person's repository: ``worktrees/<name>`` in its git directory.

Git's own ``worktree prune`` forgets every entry whose folder is not there, with its index and its
detached commits: also the person's own, whose drive may only be away. So Mesh removes no entry but
those that it made, found by their path in the folder of its sandboxes. Blocking.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mesh.git import own
from mesh.git.own import Own
from mesh.plain_files import read_plain
from sandboxes.daemon.git import GitFailed

PART: Final = "repo.part"  # a worktree that is being made, in the sandbox's folder
# Git writes this reason while a worktree is not complete.
_UNFINISHED: Final = "initializing"
_HEADS: Final = "refs/heads/"
# What names the branch that a command in progress returns to, and the words for it.
_UNDER_WAY: Final = {
    "rebase-merge/head-name": "rebased",
    "rebase-merge/update-refs": "rebased",
    "rebase-apply/head-name": "rebased",
    "BISECT_START": "bisected",
}


class BranchBusy(GitFailed):
    code = "branch_busy"
    text = "The branch is being rebased or bisected in another folder."
    hint = "Finish or abort that there, or choose another branch."
    status = 409


def is_unfinished(entry: Own) -> bool:
    """Return whether git was interrupted while it made the worktree."""
    return _text(entry.git_dir / "locked").startswith(_UNFINISHED)


def remove(entry: Own) -> None:
    """Remove a worktree's entry; its branch and commits stay."""
    shutil.rmtree(entry.git_dir, ignore_errors=True)


def left_behind(known: Own, root: Path) -> Own | None:
    """Return the entry of the worktree ``known``, if it has not followed the sandbox's folder.

    The folder was removed or brought back, and the link died, or the repository was away.
    """
    entry = own.entry_named(known)
    if entry is None or os.path.lexists(entry.top.parent):
        return None
    home = root.resolve().parent
    handle, where = entry.top.parent.name.split(".")[0], entry.top.parent.parent
    if entry.top.name != "repo" or handle != root.name or where not in (home, home / ".removed"):
        return None
    own.list_at(known)
    return known


def release(branch: str, main: Own, root: Path) -> None:
    """Remove the entries that hold ``branch`` for sandboxes that are no more.

    Only those of folders beside ``root``, or removed ones, that are gone completely; and what an
    interrupted attempt left in ``root``.
    """
    here = root.resolve()
    homes = (here.parent, here.parent / ".removed")
    for entry in own.entries(main):
        sandbox = entry.top.parent
        is_gone = entry.top.name == "repo" and not os.path.lexists(sandbox)
        is_ours = (is_gone and sandbox.parent in homes) or entry.top == here / PART
        if is_ours and _holds(entry, branch):
            remove(entry)


def check_not_busy(branch: str, main: Own) -> None:
    """Check that no command in progress will move ``branch``.

    Git itself doesn't see those of the person's main folder, as our calls have a view of their own.

    Raises:
        BranchBusy: a rebase or bisect of it is in progress in one of the person's folders.
    """
    for git_dir, top in _places(main):
        for name, done in _UNDER_WAY.items():
            if branch in _branches_in(git_dir / name):
                raise BranchBusy(f"The branch “{branch}” is being {done} in {top}.")


def _places(main: Own) -> Iterator[tuple[Path, Path]]:
    yield main.common, main.main_top
    for entry in own.entries(main):
        yield entry.git_dir, entry.top


def _holds(entry: Own, branch: str) -> bool:
    is_there = _text(entry.git_dir / "HEAD") == f"ref: {_HEADS}{branch}"
    return is_there or any(branch in _branches_in(entry.git_dir / name) for name in _UNDER_WAY)


def _branches_in(file: Path) -> set[str]:
    lines = (line.strip().removeprefix(_HEADS) for line in _text(file).splitlines())
    return {line for line in lines if line}


def _text(file: Path) -> str:
    try:
        return read_plain(file).strip()
    except OSError:
        return ""
