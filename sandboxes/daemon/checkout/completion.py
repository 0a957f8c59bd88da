"""Completes a working folder that is a repository: its branch, hooks, submodules and identity.

Blocking: for a worker thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh.git import own, submodules
from sandboxes.daemon import lfs
from sandboxes.daemon.checkout.branches import go_to
from sandboxes.daemon.checkout.checkout_hooks import tell_of_hooks
from sandboxes.daemon.checkout.clones import set_identity
from sandboxes.daemon.checkout.submodules import Filler
from sandboxes.daemon.git import Git, view_of
from sandboxes.daemon.notices import Notices

if TYPE_CHECKING:
    from sandboxes.daemon.checkout.checkout import Job


def complete(job: Job, made: own.Own, git: Git, notices: Notices) -> None:
    """Check out the branch of ``job`` in the repository ``made``, and fill its submodules.

    Raises:
        GitFailed: git refused a step.
        ForeignGit: its git directory is not the one that Mesh made.
    """
    spec, repo = job.spec, made.top
    root = repo.parent
    lfs.note(git, view_of(made, root), notices)
    is_moved = bool(job.to_branch and spec.branch)
    if is_moved:
        go_to(spec.branch, view_of(made, root), git, notices)
        job.say(f"On branch {spec.branch}")
    tell_of_hooks(made, git, notices)
    main = own.find(Path(spec.folder)) if spec.folder else None
    job.is_filling.set()
    try:
        Filler(main, made, git, notices, job.say).fill(is_other_commit=is_moved)
    finally:
        job.is_filling.clear()
    if made.origin and all(job.identity):
        # In a clone of our own only: a worktree shares its settings with the person's folder.
        made.check()
        for repository in (made, *submodules.owns_in(root, repo)):
            set_identity(*job.identity, repository, root, git)
