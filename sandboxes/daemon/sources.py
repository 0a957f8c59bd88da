"""Makes a working folder out of what it is to come from: a folder's worktree, a clone, nothing.

Blocking: for a thread. Nothing is ever committed, pushed, overwritten or deleted here.
"""

from __future__ import annotations

import logging
import re
import shutil
import socket
from pathlib import Path

from mesh.lib.addresses import Address, is_odd_number, is_off_limits, parse_address
from mesh.lib.repositories import read_clone_url
from sandboxes.daemon.git import NO_SUCH_REF, Git, GitFailed
from sandboxes.daemon.spec import Spec

log = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds
_PASSING = re.compile(
    r"could not resolve host|temporary failure|timed? ?out|connection (was )?(reset|refused|closed)"
    r"|failed to connect|couldn't connect|early eof|rpc failed|unexpected disconnect|error: 5\d\d"
    r"|operation too slow|remote end hung up|gnutls|ssl_",
    re.IGNORECASE,
)

NO_REDIRECT = "http.followRedirects=false"
_PROTOCOLS = (
    *("-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always"),
    *("-c", "protocol.ssh.allow=always"),
)
_MOVED = re.compile(r"returned error: 30\d")


def clone_limits(clone_url: str) -> tuple[str, ...]:
    """Return options for git with which it reaches the address's host only; see
    ``mesh.lib.repositories``.

    Raises:
        GitFailed: git may not be given the address, or its host is none that a repository is at.
    """
    parts = read_clone_url(clone_url)
    if parts is None or is_odd_number(parts.host):
        raise GitFailed("The repository's address is not one that git may clone from.")
    literal = parse_address(parts.host)
    found = [literal] if literal else _addresses_of(parts.host)
    if any(is_off_limits(address) for address in found):
        raise GitFailed("The repository's address leads to this machine, or to its network's own.")
    limits = [*_PROTOCOLS, "-c", NO_REDIRECT]
    if literal is None and found and parts.scheme == "https":
        pinned = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in found)
        limits += ["-c", f"http.curloptResolve={parts.host}:{parts.port}:{pinned}"]
    return tuple(limits)


def _addresses_of(host: str) -> list[Address]:
    """Return the addresses of a name; none where only a proxy, or ssh's own settings, know it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return [address for address in dict.fromkeys(addresses) if address is not None]


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
    limits = clone_limits(spec.clone_url)
    if repo.exists() and any(repo.iterdir()):
        _clone_around(spec, repo, git, limits)
        return repo
    # Into a new folder beside it: a clone that broke off never looks like a whole one.
    part = _unused(repo.with_name("clone"))
    clone = ("clone", "--no-recurse-submodules", "--config", NO_REDIRECT)
    try:
        _tried(git, repo.parent, *clone, "--", spec.clone_url, str(part), limits=limits)
    except GitFailed as exc:
        # Some servers send who asks without “.git” to the address with it.
        if spec.clone_url.endswith(".git") or not _MOVED.search(str(exc)):
            raise
        longer = f"{spec.clone_url.rstrip('/')}.git"
        _tried(git, repo.parent, *clone, "--", longer, str(part), limits=limits)
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


def _clone_around(spec: Spec, repo: Path, git: Git, limits: tuple[str, ...]) -> None:
    """Make a clone of a folder that holds files already; none of them is overwritten."""
    git.run(repo, "init", "--quiet")
    try:
        git.run(repo, "config", *NO_REDIRECT.split("="))
        git.run(repo, "remote", "add", "origin", spec.clone_url)
        _tried(git, repo, "fetch", "--no-recurse-submodules", "origin", limits=limits)
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


def _tried(git: Git, cwd: Path, *args: str, limits: tuple[str, ...] = ()) -> None:
    """Run a command that needs the network; three times when it fails for a passing reason.

    ``limits`` are options of git's own, before the command.
    """
    for attempt in range(1, TRIES + 1):
        try:
            git.run(cwd, *limits, *args)
            return
        except GitFailed as failed:
            exc = GitFailed(str(failed).replace("git -c failed", f"git {args[0]} failed", 1))
            if attempt == TRIES or not _PASSING.search(str(exc)):
                raise exc from failed
            log.info("git %s is tried again: %s", args[0], exc)
        git.pause(RETRY_AFTER)


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_branch(branch: str, repo: Path, git: Git) -> None:
    if branch.startswith("-") or git.ask(repo, "check-ref-format", "--branch", branch) is None:
        raise GitFailed(f"“{branch}” can't be the name of a branch.")
