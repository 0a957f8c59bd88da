"""Makes the working folder of a person's folder: a worktree of its repository. Blocking."""

from __future__ import annotations

import os
from pathlib import Path

from mesh.git import own
from mesh.git.look import Repository, Unborn, look
from mesh.git.own import ForeignGit, Own
from sandboxes.daemon.checkout.branches import check_branch, has_git, knows
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec


def from_folder(spec: Spec, folder: Path, repo: Path, git: Git, notices: Notices) -> Path:
    """Return the person's ``folder``, or the worktree that is made of its repository.

    Raises:
        GitFailed, ForeignGit: see ``sources.prepare``.
        NotReadable: the folder is in a repository that git can't work with.
    """
    if not folder.is_dir():
        raise GitFailed(f"The folder {folder} does not exist on this machine.")
    root = repo.parent
    if own.is_none(root):
        return folder  # it was in no repository; one that an agent made since does not count
    found = look(folder, root, tool_env(os.environ, {}))
    if not isinstance(found, Repository):
        # No repository, or one without a commit: there is nothing to branch from.
        main = found.own if isinstance(found, Unborn) else None
        is_top = main is not None and main.top == folder.resolve()
        own.save(root, main if is_top else None)
        return folder
    main = found.own
    if not has_git(repo):
        _add_worktree(spec, main, repo, git, notices)
    if own.load(root) is None:
        own.save(root, _worktree_of(repo, main))
    inside = repo / folder.resolve().relative_to(main.top)
    # The branch may lack the subfolder that the person chose.
    return inside if inside.is_dir() else repo


def _add_worktree(spec: Spec, main: Own, repo: Path, git: Git, notices: Notices) -> None:
    branch = spec.branch or f"mesh/{spec.handle}"
    check_branch(branch, repo.parent, git)
    (main.common / "worktrees").mkdir(exist_ok=True)  # else git would make it in our view only
    view = view_of(main, repo.parent)
    git.run(view, "worktree", "prune")  # forgets worktrees whose folder is gone
    if knows(git, view, f"refs/heads/{branch}"):
        git.run(view, "worktree", "add", "--", str(repo), branch)
    else:
        git.run(view, "worktree", "add", "-b", branch, "--", str(repo), "HEAD")
    made = _worktree_of(repo, main)
    own.point_to(made)  # git recorded its path as seen in our view
    own.save(repo.parent, made)


def _worktree_of(repo: Path, main: Own) -> Own:
    found = own.of_worktree(repo, main)
    if found is None:
        raise ForeignGit
    return found
