"""Rebases a branch on a newer base: completely, or not at all. Blocking."""

from __future__ import annotations

from collections.abc import Callable

from agents.harness.base import BadInput
from mesh.git.view import View
from mesh.lib.quoted_names import quote
from sandboxes.daemon.checkout.branches import is_branch, with_retries
from sandboxes.daemon.checkout.remotes import ONE_BRANCH, base_remote, offers, tracking
from sandboxes.daemon.git import PLAIN, Git, GitFailed
from sandboxes.daemon.repository.errors import (
    Conflicts,
    NothingToRebase,
    NotUnderWay,
    UncommittedChanges,
    UnderWay,
    UnknownBase,
)
from sandboxes.daemon.repository.state import Facts

# Files in git's folder while such an operation is in progress.
_REBASING = ("rebase-merge", "rebase-apply")
_OTHERS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
# No other branch follows, and messages stay as they are, whatever a person has set for their own
# use; ``mesh.git.calls`` has the settings that belong to it.
_REBASE = (
    *("-c", "commit.cleanup=verbatim", "rebase", "--no-verify", "--no-autostash"),
    *("--no-autosquash", "--no-fork-point", "--no-rebase-merges", "--no-stat", "--merge"),
)


def rebase(git: Git, view: View, facts: Facts, base: str, put_aside: Callable[[], object]) -> None:
    """Rebase the branch on the shared remote's ``base``; on conflicts, restore the earlier state.

    ``put_aside`` removes the changes that the project's start made: git refuses to start with them.

    Raises:
        BadInput: ``base`` can't be the name of a branch.
        UnderWay, UncommittedChanges, NothingToRebase, UnknownBase, Conflicts: as their texts say.
        GitFailed: with git's own words; see ``mesh.git.errors``.
    """
    _check_name(git, view, base)
    if is_under_way(view):
        raise UnderWay
    if facts.is_dirty:
        raise UncommittedChanges(files=[quote(change.path) for change in facts.own])
    if not (facts.status.head and facts.status.branch) or facts.status.branch == base:
        raise NothingToRebase
    remote = _fetched(git, view, base)
    put_aside()
    try:
        git.run(view, *_REBASE, remote)
    except GitFailed:
        if not _exists(view, *_REBASING):
            raise  # it did not start
        conflicts = git.names(view, "diff", *PLAIN, "--name-only", "--diff-filter=U", "-z")
        git.run(view, "rebase", "--abort")
        if conflicts:
            raise Conflicts(files=[quote(path) for path in conflicts]) from None
        raise


def is_under_way(view: View) -> bool:
    """Return whether a rebase, merge, cherry-pick or revert is in progress."""
    return _exists(view, *_REBASING, *_OTHERS)


def abort(git: Git, view: View) -> None:
    """Abort a rebase that somebody started; the branch returns to its earlier state.

    Raises:
        NotUnderWay: no rebase is in progress.
        GitFailed: with git's own words; see ``mesh.git.errors``.
    """
    if not _exists(view, *_REBASING):
        raise NotUnderWay
    git.run(view, "rebase", "--abort")


def _check_name(git: Git, view: View, base: str) -> None:
    # Plain names only: “@{-1}” would mean another local branch.
    valid = base.isprintable() and not base.startswith("-") and "@{" not in base
    if not valid or not is_branch(base, view.place, git):
        raise BadInput("base must be the name of a branch.", detail="base")


def _fetched(git: Git, view: View, base: str) -> str:
    """Fetch the shared remote's branch; return the name of its tracking branch."""
    remote = base_remote(git, view)
    if not remote:
        raise NothingToRebase
    if not offers(git, view, remote, base):
        raise UnknownBase
    branch = tracking(remote, base)
    with_retries(git, view, *ONE_BRANCH, remote, f"+refs/heads/{base}:{branch}")
    return branch


def _exists(view: View, *names: str) -> bool:
    return any((view.own.git_dir / name).exists() for name in names)
