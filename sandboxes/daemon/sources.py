"""Makes a working folder out of what it is to come from: a folder's worktree, a clone, nothing.

Blocking: for a thread. Nothing is ever committed, pushed, overwritten or deleted here.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

from sandboxes.daemon.git import NO_SUCH_REF, Git, GitFailed
from sandboxes.daemon.spec import CLONE_URL, Spec

log = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds
_PASSING = re.compile(
    r"could not resolve host|temporary failure|timed? ?out|connection (was )?(reset|refused|closed)"
    r"|failed to connect|couldn't connect|early eof|rpc failed|unexpected disconnect|error: 5\d\d"
    r"|operation too slow|remote end hung up|gnutls|ssl_",
    re.IGNORECASE,
)


def prepare(spec: Spec, repo: Path, git: Git) -> Path:
    """Make the working folder unless it is there, and return it.

    Raises:
        GitFailed: it can't be made.
    """
    if spec.folder:
        return _from_folder(spec, Path(spec.folder), repo, git)
    if spec.clone_url:
        return _from_clone(spec, repo, git)
    repo.mkdir(exist_ok=True)
    return repo


def _from_folder(spec: Spec, folder: Path, repo: Path, git: Git) -> Path:
    if not folder.is_dir():
        raise GitFailed(f"The folder {folder} does not exist on this machine.")
    top = git.ask(folder, "rev-parse", "--show-toplevel")
    if top is None or git.ask(folder, "rev-parse", "--verify", "HEAD") is None:
        return folder  # no repository, or one without a commit: there is nothing to branch off
    if not (repo / ".git").exists():
        _add_worktree(spec, Path(top), repo, git)
    inside = repo / folder.resolve().relative_to(Path(top).resolve())
    # The branch may lack the subfolder from which the person set out.
    return inside if inside.is_dir() else repo


def _add_worktree(spec: Spec, top: Path, repo: Path, git: Git) -> None:
    branch = spec.branch or f"mesh/{spec.handle}"
    _check_branch(branch, top, git)
    git.run(top, "worktree", "prune")  # forgets worktrees whose folder is gone
    if git.ask(top, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None:
        git.run(top, "worktree", "add", "--", str(repo), branch)
    else:
        git.run(top, "worktree", "add", "-b", branch, "--", str(repo), "HEAD")


def _from_clone(spec: Spec, repo: Path, git: Git) -> Path:
    if (repo / ".git").exists():
        return repo
    if not CLONE_URL.fullmatch(spec.clone_url):
        raise GitFailed("The repository's address is not one that git may clone from.")
    if repo.exists() and any(repo.iterdir()):
        _clone_around(spec, repo, git)
        return repo
    # Into a new folder beside it: a clone that broke off never looks like a whole one.
    part = _unused(repo.with_name("clone"))
    _tried(git, repo.parent, "clone", "--", spec.clone_url, str(part))
    if spec.branch:
        go_to(spec.branch, part, git)
    try:
        if repo.exists():
            repo.rmdir()  # a scratch folder that nobody has used
        part.rename(repo)
    except OSError as exc:
        shutil.rmtree(part)
        raise GitFailed("Files came into the folder while it was cloned; try again.") from exc
    return repo


def _clone_around(spec: Spec, repo: Path, git: Git) -> None:
    """Make a clone of a folder that holds files already; none of them is overwritten."""
    git.run(repo, "init", "--quiet")
    try:
        git.run(repo, "remote", "add", "origin", spec.clone_url)
        _tried(git, repo, "fetch", "origin")
        git.ask(repo, "remote", "set-head", "origin", "--auto")
        head = git.ask(repo, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
        default = (head or "origin/main").removeprefix("origin/")
        is_theirs = _knows(git, repo, f"refs/remotes/origin/{spec.branch}")
        go_to(spec.branch if is_theirs else default, repo, git)
        if spec.branch:
            go_to(spec.branch, repo, git)
    except GitFailed:
        shutil.rmtree(repo / ".git")  # ours, and only begun
        raise


def go_to(branch: str, repo: Path, git: Git) -> None:
    """Check out ``branch``: ours, else origin's, else a new one. Work is never overwritten."""
    _check_branch(branch, repo, git)
    if git.ask(repo, "symbolic-ref", "--short", "-q", "HEAD") == branch:
        return
    if _knows(git, repo, f"refs/heads/{branch}"):
        git.run(repo, "checkout", branch, "--")
        return
    remote = f"refs/remotes/origin/{branch}"
    if not _knows(git, repo, remote) and _offers(git, repo, branch):
        _tried(git, repo, "fetch", "origin", f"refs/heads/{branch}:{remote}")
    if _knows(git, repo, remote):
        git.run(repo, "checkout", "-b", branch, "--track", f"origin/{branch}")
    else:
        git.run(repo, "checkout", "-b", branch)


def _knows(git: Git, repo: Path, ref: str) -> bool:
    return git.ask(repo, "rev-parse", "--verify", "--quiet", ref) is not None


def _offers(git: Git, repo: Path, branch: str) -> bool:
    """Say whether origin has the branch; where there is no origin to ask, it has not.

    Raises:
        GitFailed: it can't be asked.
    """
    if git.ask(repo, "remote", "get-url", "origin") is None:
        return False
    code, _ = git.code(repo, "ls-remote", "--exit-code", "origin", f"refs/heads/{branch}")
    if code not in (0, NO_SUCH_REF):
        raise GitFailed("The repository's server could not be asked for the branch.")
    return code == 0


def _tried(git: Git, cwd: Path, *args: str) -> None:
    """Run a command that needs the network; three times when it fails for a passing reason."""
    for attempt in range(1, TRIES + 1):
        try:
            git.run(cwd, *args)
            return
        except GitFailed as exc:
            if attempt == TRIES or not _PASSING.search(str(exc)):
                raise
            log.info("git %s is tried again: %s", args[0], exc)
        git.pause(RETRY_AFTER)


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_branch(branch: str, repo: Path, git: Git) -> None:
    if branch.startswith("-") or git.ask(repo, "check-ref-format", "--branch", branch) is None:
        raise GitFailed(f"“{branch}” can't be the name of a branch.")
