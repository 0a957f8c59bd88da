"""Frees the branch of a removed sandbox's worktree, and takes it again when the folder is back.

Git lets only one worktree have a branch. One in a removed folder would keep it from every other
chat, and from the person, who could not even delete it. Blocking.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from links.daemon.sandbox_process import environment
from mesh.git import own
from mesh.git.calls import GitMissing
from mesh.git.errors import GitFailed
from mesh.git.own import ForeignGit
from mesh.git.quick import run
from mesh.git.view import View
from mesh.plain_files import read_plain, write_plain

logger = logging.getLogger(__name__)

NAME: Final = "branch"  # of the file that names the branch, in the sandbox's folder
_LIST: Final = ("worktree", "list", "--porcelain")
_WHY: Final = "mesh: the sandbox was removed"


def free(root: Path) -> None:
    """Let the worktree in ``root`` stay at its commit, without its branch. Never fails."""
    try:
        view = _view(root)
        if view is None:
            return
        ref, head = _ask(view, "symbolic-ref", "-q", "HEAD"), _head(view)
        if ref and head:
            write_plain(root / NAME, ref)
            _ask(view, "update-ref", "-m", _WHY, "--no-deref", "HEAD", head)
    except (GitFailed, ForeignGit, GitMissing, OSError) as exc:
        logger.warning("sandbox %s: its branch stays in use, continuing: %s", root.name, exc)


def take_again(root: Path) -> str:
    """Put the worktree in ``root`` on its branch again; never fails.

    Return the branch if that can't be: its commits have changed, or it is in use elsewhere.
    """
    try:
        ref = read_plain(root / NAME).strip()
    except OSError:
        return ""
    name = ref.removeprefix("refs/heads/")
    try:
        view = _view(root)
        if view is None or not ref.startswith("refs/heads/"):
            return name
        if not _ask(view, "symbolic-ref", "-q", "HEAD"):
            is_same = _ask(view, "rev-parse", "-q", "--verify", ref, "--") == _head(view)
            if not is_same or f"branch {ref}" in _ask(view, *_LIST).splitlines():
                return name
            _ask(view, "symbolic-ref", "-m", "mesh: restored", "HEAD", ref)
        (root / NAME).unlink(missing_ok=True)
    except (GitFailed, ForeignGit, GitMissing, OSError) as exc:
        logger.warning("sandbox %s: its branch can't be taken, continuing: %s", root.name, exc)
        return name
    return ""


def _view(root: Path) -> View | None:
    made = own.load(root)
    if made is None or not made.is_worktree_in(root) or not own.is_listed(made):
        return None
    return View.open(made, root, environment(os.environ))


def _head(view: View) -> str:
    return _ask(view, "rev-parse", "-q", "--verify", "HEAD^{commit}")


def _ask(view: View, *args: str) -> str:
    """Return git's output; nothing if it fails."""
    code, out, _ = run(view.call(args, environment(os.environ)))
    return out if code == 0 else ""
