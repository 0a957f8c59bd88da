"""Makes a working folder from its source: a worktree of a folder, a clone, or nothing.

Blocking: for a worker thread. Nothing is committed, pushed, overwritten or deleted here.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from mesh.git import own
from mesh.git.errors import NoSpace, ReadOnly
from sandboxes.daemon.checkout.branches import has_git
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.notices import REMADE, Notices
from sandboxes.daemon.spec import Spec

_OF_THE_DISK: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), NoSpace),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), ReadOnly),
}


def prepare(spec: Spec, repo: Path, git: Git, notices: Notices) -> Path:
    """Make the working folder unless it exists, and return it.

    ``notices`` gets what the person must be told about it. Its git directory is recorded here,
    before an agent starts to work.

    Raises:
        ChoiceNeeded: the person must first choose how to work in their folder.
        GitFailed: the folder can't be made.
        ForeignGit: its git directory is not the one that Mesh made.
        NotReadable: the person's folder is in a repository that git can't work with.
    """
    try:
        return _prepare(spec, repo, git, notices)
    except OSError as exc:
        kind = _OF_THE_DISK.get(exc.errno or 0, GitFailed)
        where = exc.filename or repo.parent
        raise kind(f"{where} could not be written: {exc.strerror}.") from exc


def _prepare(spec: Spec, repo: Path, git: Git, notices: Notices) -> Path:
    # Each source is loaded where it is used: a sandbox has one, and many have none.
    if spec.folder:
        from sandboxes.daemon.checkout.worktrees import from_folder

        return from_folder(spec, Path(spec.folder), repo, git, notices)
    if spec.clone_url:
        from sandboxes.daemon.checkout.clones import from_clone

        return from_clone(spec, repo, git, notices)
    if own.is_known(repo.parent) and not repo.exists():
        notices.renew(REMADE, "The working folder was gone with the files in it; it is empty now.")
    repo.mkdir(exist_ok=True)
    if not own.is_known(repo.parent) and not has_git(repo):
        own.save(repo.parent, None)
    return repo


def is_whole(root: Path, folder: Path) -> bool:
    """Return whether the working folder ``folder``, and its worktree's entry, are still there."""
    made = own.load(root)
    if made is not None and made.is_worktree_in(root):
        return folder.is_dir() and own.is_listed(made) and os.path.lexists(made.top / ".git")
    return folder.is_dir()
