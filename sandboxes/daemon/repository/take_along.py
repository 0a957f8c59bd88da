"""Copies the person's uncommitted changes from their own folder into the sandbox's worktree.

Their folder is only read. Files are copied as they are, byte for byte, all or none. Blocking.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mesh.git import own
from mesh.git.own import Own
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.git_names import is_in_git
from mesh.lib.git_status import Change, parse_status
from mesh.lib.quoted_names import quote
from mesh.plain_files import open_plain
from sandboxes.daemon import lfs
from sandboxes.daemon.files.errors import NoSuchFile, translated
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, view_of
from sandboxes.daemon.repository.state import STATUS
from sandboxes.daemon.working_folder import NotReady

MOST_FILES: Final = 10_000
MOST_BYTES: Final = 1024**3
STAGE: Final = "taken"  # in the sandbox's own folder, until all of it is there
_PIECE: Final = 1024 * 1024


class NothingToTake(AppError):
    code = "nothing_to_take"
    text = "Your folder has no uncommitted changes."
    hint = "Nothing to do: the agent has what you have."
    status = 409


class ChangesConflict(AppError):
    """``files`` says which; nothing was changed."""

    code = "changes_conflict"
    text = (
        "Some of the files differ in the agent's copy, or a folder is in their place there, so"
        " nothing was taken along."
    )
    hint = "Commit your changes, and ask the agent to merge them."
    status = 409


class TooMuchToTake(AppError):
    code = "too_much_to_take"
    text = "Your uncommitted changes are more than 10,000 files or 1 GB."
    hint = "Commit them, or have .gitignore leave out what is generated."
    status = 413


def take_along(folder: Path, tree: Tree, root: Path, git: Git) -> dict[str, Any]:
    """Copy the uncommitted changes in the person's ``folder`` into the worktree ``tree``.

    Returns the paths that were taken. Safe to repeat.

    Raises:
        NotReady: the sandbox has no worktree of that folder.
        NothingToTake, ChangesConflict, TooMuchToTake: as their texts say; nothing was changed.
        ForeignGit, NotReadable: a repository can't be used.
        GitFailed: git failed.
        DiskFull: nothing was changed.
    """
    made, source = own.load(root), own.find(folder)
    is_ours = made is not None and made.is_worktree_in(root) and tree.top == made.top.resolve()
    if made is None or source is None or not is_ours or source.is_bare:
        raise NotReady("The working folder is not a worktree of your folder.")
    changes = uncommitted(source, root, git)
    if not changes:
        raise NothingToTake
    _check_size(changes, source.top)
    wanted = [change for change in changes if not _is_same(change.path, source.top, tree.top)]
    if conflicts := _conflicts(wanted, source, made, root, git):
        raise ChangesConflict(files=conflicts[:100])
    with translated():
        _copy([change.path for change in wanted], source.top, tree, root / STAGE)
    return {"ok": True, "taken": [quote(change.path) for change in changes]}


def uncommitted(repository: Own, root: Path, git: Git) -> list[Change]:
    """Return the files of the work tree that are not as they were committed.

    Each once: git lists a file twice whose removal is staged, and which is there again. Without
    nested repositories and submodules, which can't be copied as files; and without files
    of Git LFS if git-lfs is missing, because nobody can compare them then.

    Raises:
        ForeignGit, GitFailed: see ``take_along``.
    """
    view = view_of(repository, root)
    if view.is_bare:
        return []  # also of a hub: a folder with a bare .git, and checkouts beside it
    listed = parse_status(git.output(view, *STATUS, "--no-renames")).changes
    changes = [
        change
        for change in {each.path: each for each in reversed(listed)}.values()
        if not (change.is_folder or is_in_git(change.path) or _is_folder(repository, change))
    ]
    if lfs.is_installed():
        return changes
    left_out = set(lfs.of_lfs(git, view, [change.path for change in changes]))
    return [change for change in changes if change.path not in left_out]


def _is_folder(repository: Own, change: Change) -> bool:
    path = repository.top / change.path
    return path.is_dir() and not path.is_symlink()


def _check_size(changes: Sequence[Change], top: Path) -> None:
    sizes = (facts.st_size for change in changes if (facts := _facts(top / change.path)))
    if len(changes) > MOST_FILES or sum(sizes) > MOST_BYTES:
        raise TooMuchToTake


def _conflicts(wanted: Sequence[Change], source: Own, made: Own, root: Path, git: Git) -> list[str]:
    """Return the files that somebody changed in the worktree, or that its commit has otherwise."""
    changed = {change.path for change in uncommitted(made, root, git)}
    changed |= _differing(view_of(source, root), view_of(made, root), git)
    return [
        quote(change.path)
        for change in wanted
        if change.path in changed or _is_blocked(change, made.top)
    ]


def _differing(source: View, made: View, git: Git) -> set[str]:
    """Return the paths in which the two commits differ."""
    ends = [
        git.ask(view, "rev-parse", "-q", "--verify", "HEAD^{commit}")
        or git.words(view, "hash-object", "-t", "tree", "--stdin")  # of the empty tree
        for view in (source, made)
    ]
    if ends[0] == ends[1]:
        return set()
    options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff")
    return set(git.names(made, "diff-tree", *options, *ends, "--"))


def _is_blocked(change: Change, top: Path) -> bool:
    """Return whether something is in the way: a new file's name is taken, or a folder's is."""
    path = top / change.path
    if change.is_new and os.path.lexists(path):
        return True
    if path.is_dir() and not path.is_symlink():
        return True
    parents = list(path.relative_to(top).parents)[:-1]
    return any(_is_no_folder(top / parent) for parent in parents)


def _is_no_folder(path: Path) -> bool:
    facts = _facts(path)
    return facts is not None and not stat.S_ISDIR(facts.st_mode)


def _is_same(name: str, source: Path, target: Path) -> bool:
    """Return whether both have the same file, or neither has one."""
    one, other = _facts(source / name), _facts(target / name)
    if one is None or other is None:
        return one is other
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return False
    if stat.S_ISLNK(one.st_mode):
        return os.readlink(source / name) == os.readlink(target / name)
    if (one.st_mode & 0o100, one.st_size) != (other.st_mode & 0o100, other.st_size):
        return False
    return _have_same_bytes(source / name, target / name)


def _have_same_bytes(source: Path, target: Path) -> bool:
    """Compare two regular files; an agent may replace its own with anything meanwhile."""
    try:
        ends = [open_plain(path, os.O_RDONLY | os.O_NOFOLLOW) for path in (source, target)]
    except OSError:
        return False
    with os.fdopen(ends[0], "rb") as one, os.fdopen(ends[1], "rb") as other:
        while piece := one.read(_PIECE):
            if piece != other.read(_PIECE):
                return False
        return not other.read(1)


def _copy(names: Sequence[str], source: Path, tree: Tree, stage: Path) -> None:
    """Copy files into the worktree; those that are gone in ``source`` are removed there.

    All are copied beside the worktree first: a full disk changes nothing in it.
    """
    shutil.rmtree(stage, ignore_errors=True)
    try:
        there = []
        for number, name in enumerate(names):
            if facts := _facts(source / name):
                if not (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)):
                    continue  # a pipe or a device has no content to copy
                stage.mkdir(mode=0o700, exist_ok=True)
                shutil.copy2(source / name, stage / str(number), follow_symlinks=False)
                there.append((name, stage / str(number)))
        for name in names:
            if _facts(source / name) is None:
                _remove(name, tree)
        for name, copy in there:
            with tree.at(str(tree.top / name), follow=False, make_parents=True) as spot:
                os.rename(copy, spot.name, dst_dir_fd=spot.folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _remove(name: str, tree: Tree) -> None:
    try:
        with tree.at(str(tree.top / name), follow=False) as spot:
            os.unlink(spot.name, dir_fd=spot.folder)
    except NoSuchFile:
        pass


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
