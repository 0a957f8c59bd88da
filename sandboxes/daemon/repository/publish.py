"""Publishes a branch: commits everything that somebody changed, and pushes. Blocking."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from mesh.git.view import View
from mesh.lib.git_status import Change, parse_status
from sandboxes.daemon.checkout.branches import track
from sandboxes.daemon.git import Git
from sandboxes.daemon.repository.errors import (
    DefaultBranch,
    Diverged,
    MessageNeeded,
    NothingToPublish,
)
from sandboxes.daemon.repository.state import STATUS, Facts

_SHARED = ("main", "master")  # branches that are never published, even if not the default


def publish(git: Git, view: View, facts: Facts, message: str, *, replace: bool) -> None:
    """Push the branch, after a commit of everything that somebody changed.

    Only at a person's request. The project's own pre-push hook is skipped: nobody would see
    its output.

    Raises:
        MessageNeeded, DefaultBranch, NothingToPublish: as their texts say.
        Diverged: published commits would be lost, and ``replace`` is false.
        GitFailed: with the last line of git's own message.
    """
    branch = facts.status.branch
    if not branch or git.ask(view, "remote", "get-url", "origin") is None:
        raise NothingToPublish
    if branch in (*_SHARED, facts.base.removeprefix("origin/"), _default(git, view)):
        raise DefaultBranch
    published = f"refs/remotes/origin/{branch}"
    is_known = git.ask(view, "rev-parse", "-q", "--verify", published) is not None
    is_ahead = not is_known or (
        git.ask(view, "merge-base", "--is-ancestor", published, "HEAD") is not None
    )
    if not is_ahead and not replace:
        raise Diverged
    if facts.is_dirty:
        if not message.strip():
            raise MessageNeeded
        _stage(git, view, facts.by_start)
        git.run(view, "commit", "--quiet", f"--message={message}")
    target = f"refs/heads/{branch}:refs/heads/{branch}"
    # Overwrites only commits that this branch once had itself, never somebody else's.
    force = [] if is_ahead else ["--force-with-lease", "--force-if-includes"]
    git.run(view, "push", "--no-verify", *force, "origin", target)
    track(branch, view, git)


def _stage(git: Git, view: View, left_out: Sequence[Change]) -> None:
    """Add everything that somebody changed to the index, path by path.

    ``git add --all`` would query the status of each nested repository, which reads that
    repository's configuration.
    """
    names = {change.path for change in left_out}
    changes = parse_status(git.output(view, *STATUS)).changes
    chosen = [c.path for c in changes if not c.is_folder and c.path not in names]
    given = b"".join(os.fsencode(path) + b"\0" for path in chosen)
    git.run(view, "update-index", "--add", "--remove", "-z", "--stdin", given=given)


def _default(git: Git, view: View) -> str:
    """Ask the server for its default branch; return it, or an empty string."""
    said = git.ask(view, "ls-remote", "--symref", "origin", "HEAD") or ""
    found = re.match(r"ref: refs/heads/(\S+)\tHEAD", said)
    return found[1] if found else ""
