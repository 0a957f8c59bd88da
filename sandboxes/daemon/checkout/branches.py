"""Branches of a working folder, and commands that need the network. Blocking."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mesh.git.calls import Outside
from mesh.git.errors import ServerUnreachable
from mesh.git.own import Own
from mesh.git.separate import config_of
from mesh.git.view import View
from sandboxes.daemon.checkout.remotes import (
    ONE_BRANCH,
    has_branch,
    offers,
    remote_of,
    remotes,
    sources,
    tracking,
)
from sandboxes.daemon.git import Git, GitFailed, Where
from sandboxes.daemon.notices import Notices

logger = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds
NEW = "HEAD"  # where a branch starts that no remote has
BRANCH_NOT_ASKED, BRANCH_ELSEWHERE = "branch_not_asked", "branch_elsewhere"  # of notices


def go_to(branch: str, view: View, git: Git, notices: Notices, *, may_ask: bool = True) -> None:
    """Check out ``branch``: the local one, else the remote's, else a new one. Keeps all changes.

    Without ``may_ask``, no server is asked: for a clone that was made a moment ago.
    """
    check_branch(branch, view.place, git)
    is_there = git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") == branch
    if is_there and knows(git, view, "HEAD"):
        return
    if knows(git, view, f"refs/heads/{branch}"):
        git.run(view, "checkout", branch, "--")
        return
    check_unlike_remote(branch, view, git)
    start = start_of(branch, view, git, notices, may_ask=may_ask)
    if start == NEW:
        if not is_there:
            git.run(view, "checkout", "-b", branch)  # also where there is no commit yet
        return
    git.run(view, "checkout", "-b", branch, "--no-track", start)
    if view.own.origin:  # the settings of a person's own repository are left as they are
        track(branch, view, git)


def start_of(branch: str, view: View, git: Git, notices: Notices, *, may_ask: bool = True) -> str:
    """Return the commit that a new local ``branch`` starts from: the remote's branch, or ``NEW``.

    The remote's branch is fetched, alone, if only its server knows it. A server that can't be
    asked is told by a notice: the branch is then a new one.
    """
    wanted = sources(git, view, branch)
    known = next((remote for remote in wanted if has_branch(git, view, remote, branch)), "")
    if not known and may_ask:
        known = _fetched(branch, wanted, view, git, notices)
    if known:
        return tracking(known, branch)
    others = [name for name in remotes(git, view) if has_branch(git, view, name, branch)]
    if others:
        notices.add(
            BRANCH_ELSEWHERE,
            f"The branch “{branch}” is a new one here, although {_listed(others)} has a branch of"
            f" that name: the repository has several remotes, and its settings don't say which one"
            f" to take. To start from it: git reset --hard {others[0]}/{branch}",
        )
    return NEW


def _fetched(branch: str, wanted: list[str], view: View, git: Git, notices: Notices) -> str:
    """Fetch the branch from the first of these remotes that has it; return the remote.

    Raises:
        GitFailed: a server has the branch, but it can't be fetched.
    """
    notices.forget(BRANCH_NOT_ASKED)
    for remote in wanted:
        try:
            is_there = offers(git, view, remote, branch)
        except GitFailed as exc:
            if git.is_stopped:
                raise
            notices.add(
                BRANCH_NOT_ASKED,
                f"Whether “{remote}” has a branch “{branch}” could not be found out, so"
                f" it is a new one, from the commit that is checked out. {exc} {exc.hint}",
            )
            continue
        if is_there:
            refspec = f"+refs/heads/{branch}:{tracking(remote, branch)}"
            with_retries(git, view, *ONE_BRANCH, remote, refspec)
            return remote
    return ""


def _listed(names: list[str]) -> str:
    return " and ".join(f"“{name}”" for name in names)


def track(branch: str, view: View, git: Git) -> None:
    """Make the branch track its remote's of the same name, also for people who use git there."""
    remote = remote_of(git, view, branch)
    if not remote:
        return
    outside = Outside(view.place)
    for key, value in (("remote", remote), ("merge", f"refs/heads/{branch}")):
        git.run(outside, *setting_in(view.own, f"branch.{branch}.{key}", value))


def setting_in(made: Own, key: str, value: str) -> tuple[str, ...]:
    """Return the arguments that write a setting into a repository's own configuration, which only
    people who use git there themselves read. That of a worktree is not the person's."""
    return ("config", "--file", str(config_of(made)), key, value)


def has_git(repo: Path) -> bool:
    """Return whether anything named ``.git`` is in the folder."""
    return os.path.lexists(repo / ".git")


def knows(git: Git, view: View, ref: str) -> bool:
    """Return whether the repository has ``ref``."""
    return git.ask(view, "rev-parse", "--verify", "--quiet", ref) is not None


def with_retries(git: Git, where: Where, *args: str, limits: tuple[str, ...] = ()) -> None:
    """Run a command that needs the network; up to three times if it fails temporarily.

    ``limits`` are global options of git, put before the command.

    Raises:
        ServerUnreachable: the network failed each time; the sentence says how often.
        GitFailed: it failed for another reason.
    """
    for attempt in range(1, TRIES + 1):
        try:
            git.run(where, *limits, *args)
            return
        except ServerUnreachable as exc:
            if attempt == TRIES:
                raise ServerUnreachable(f"{exc} (gave up after {TRIES} tries)") from exc
            logger.info("git %s failed, retrying in %.0f s: %s", args[0], RETRY_AFTER, exc)
        git.pause(RETRY_AFTER)


def check_branch(branch: str, cwd: Path, git: Git) -> None:
    """Check that ``branch`` can be the name of a branch.

    Raises:
        GitFailed: it can't.
    """
    if branch.startswith("-") or not is_branch(branch, cwd, git):
        raise GitFailed(f"“{branch}” can't be the name of a branch.")


def check_unlike_remote(branch: str, view: View, git: Git) -> None:
    """Check that a new ``branch`` would not be called like a remote's, such as “origin/main”.

    By that name, git would then find ours, also in the person's own commands.

    Raises:
        GitFailed: it would.
    """
    if knows(git, view, f"refs/remotes/{branch}"):
        raise GitFailed(
            f"“{branch}” is a branch of a server, which a new branch of that name would hide."
            " Name the branch without the server."
        )


def is_branch(name: str, cwd: Path, git: Git) -> bool:
    """Return whether git accepts the name for a branch."""
    return git.ask(Outside(cwd), "check-ref-format", "--branch", name) is not None
