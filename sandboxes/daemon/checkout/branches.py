"""Branches of a working folder, and commands that need the network. Blocking."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mesh.git.calls import Outside
from mesh.git.errors import ServerUnreachable
from mesh.git.own import Own
from mesh.git.view import View
from sandboxes.daemon.git import NO_SUCH_REF, Git, GitFailed, Where

logger = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds


def go_to(branch: str, view: View, git: Git) -> None:
    """Check out ``branch``: the local one, else origin's, else a new one. Keeps all changes."""
    check_branch(branch, view.place, git)
    if git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") == branch:
        return
    if knows(git, view, f"refs/heads/{branch}"):
        git.run(view, "checkout", branch, "--")
        return
    remote = f"refs/remotes/origin/{branch}"
    if not knows(git, view, remote) and _offers(git, view, branch):
        with_retries(git, view, "fetch", "origin", f"refs/heads/{branch}:{remote}")
    if knows(git, view, remote):
        git.run(view, "checkout", "-b", branch, "--no-track", f"origin/{branch}")
        track(branch, view, git)
    else:
        git.run(view, "checkout", "-b", branch)


def track(branch: str, view: View, git: Git) -> None:
    """Make the branch track origin's of the same name, also for people who use git themselves."""
    outside = Outside(view.place)
    for key, value in (("remote", "origin"), ("merge", f"refs/heads/{branch}")):
        git.run(outside, *setting_in(view.own, f"branch.{branch}.{key}", value))


def setting_in(made: Own, key: str, value: str) -> tuple[str, ...]:
    """Return the arguments that write a setting into a repository's own configuration, which only
    people who use git there themselves read."""
    return ("config", "--file", str(made.common / "config"), key, value)


def has_git(repo: Path) -> bool:
    """Return whether anything named ``.git`` is in the folder."""
    return os.path.lexists(repo / ".git")


def knows(git: Git, view: View, ref: str) -> bool:
    """Return whether the repository has ``ref``."""
    return git.ask(view, "rev-parse", "--verify", "--quiet", ref) is not None


def _offers(git: Git, view: View, branch: str) -> bool:
    """Return whether origin has the branch; ``False`` without an origin.

    Raises:
        GitFailed: origin can't be asked.
    """
    if git.ask(view, "remote", "get-url", "origin") is None:
        return False
    code, _ = git.code(view, "ls-remote", "--exit-code", "origin", f"refs/heads/{branch}")
    if code not in (0, NO_SUCH_REF):
        raise GitFailed("The repository's server could not be asked about the branch.")
    return code == 0


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


def is_branch(name: str, cwd: Path, git: Git) -> bool:
    """Return whether git accepts the name for a branch."""
    return git.ask(Outside(cwd), "check-ref-format", "--branch", name) is not None
