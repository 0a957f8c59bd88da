"""Makes a working folder from its source: a worktree of a folder, a clone, or nothing.

Blocking: for a worker thread. Nothing is committed, pushed, overwritten or deleted here.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
from pathlib import Path

from mesh.git import own
from mesh.git.calls import NO_REDIRECT, Outside
from mesh.git.own import ForeignGit, Own
from mesh.git.view import View
from mesh.lib.addresses import Address, is_odd_number, is_off_limits, parse_address
from mesh.lib.repositories import read_clone_url
from sandboxes.daemon.git import NO_SUCH_REF, Git, GitFailed, Where, view_of
from sandboxes.daemon.spec import Spec

logger = logging.getLogger(__name__)

TRIES = 3
RETRY_AFTER = 3.0  # seconds
_PASSING = re.compile(
    r"could not resolve host|temporary failure|timed? ?out|connection (was )?(reset|refused|closed)"
    r"|failed to connect|couldn't connect|early eof|rpc failed|unexpected disconnect|error: 5\d\d"
    r"|operation too slow|remote end hung up|gnutls|ssl_",
    re.IGNORECASE,
)

_PROTOCOLS = (
    *("-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always"),
    *("-c", "protocol.ssh.allow=always"),
)
_MOVED = re.compile(r"returned error: 30\d")


def clone_limits(clone_url: str) -> tuple[str, ...]:
    """Return options that limit git to the address's own host; see ``mesh.lib.repositories``.

    Raises:
        GitFailed: git may not clone from the address, or its host is this machine or network.
    """
    parts = read_clone_url(clone_url)
    if parts is None or is_odd_number(parts.host):
        raise GitFailed("Git may not clone from the repository's address.")
    literal = parse_address(parts.host)
    found = [literal] if literal else _addresses_of(parts.host)
    if any(is_off_limits(address) for address in found):
        raise GitFailed("The repository's address leads to this machine or to its own network.")
    limits = [*_PROTOCOLS, "-c", NO_REDIRECT]
    if literal is None and found and parts.scheme == "https":
        pinned = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in found)
        limits += ["-c", f"http.curloptResolve={parts.host}:{parts.port}:{pinned}"]
    return tuple(limits)


def _addresses_of(host: str) -> list[Address]:
    """Return a name's addresses; none if only a proxy or ssh's own settings can resolve it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return [address for address in dict.fromkeys(addresses) if address is not None]


def prepare(spec: Spec, repo: Path, git: Git) -> Path:
    """Make the working folder unless it exists, and return it.

    Its git directory is recorded here, before an agent starts to work.

    Raises:
        GitFailed: the folder can't be made.
        ForeignGit: its git directory is not the one that Mesh made.
    """
    if spec.folder:
        return _from_folder(spec, Path(spec.folder), repo, git)
    if spec.clone_url:
        return _from_clone(spec, repo, git)
    repo.mkdir(exist_ok=True)
    if not own.is_known(repo.parent) and not _has_git(repo):
        own.save(repo.parent, None)
    return repo


def _from_folder(spec: Spec, folder: Path, repo: Path, git: Git) -> Path:
    if not folder.is_dir():
        raise GitFailed(f"The folder {folder} does not exist on this machine.")
    root = repo.parent
    if own.is_known(root) and own.load(root) is None:
        return folder  # it was in no repository; one that an agent made since does not count
    main = own.find(folder)
    has_commit = main is not None and _knows(git, view_of(main, root), "HEAD")
    if main is None or not has_commit:
        # No repository, or one without a commit: there is nothing to branch from.
        is_top = main is not None and main.top == folder.resolve()
        own.save(root, main if is_top else None)
        return folder
    if not _has_git(repo):
        _add_worktree(spec, main, repo, git)
    if own.load(root) is None:
        own.save(root, _worktree_of(repo, main))
    inside = repo / folder.resolve().relative_to(main.top)
    # The branch may lack the subfolder that the person chose.
    return inside if inside.is_dir() else repo


def _add_worktree(spec: Spec, main: Own, repo: Path, git: Git) -> None:
    branch = spec.branch or f"mesh/{spec.handle}"
    _check_branch(branch, repo.parent, git)
    (main.common / "worktrees").mkdir(exist_ok=True)  # else git would make it in our view only
    view = view_of(main, repo.parent)
    git.run(view, "worktree", "prune")  # forgets worktrees whose folder is gone
    if _knows(git, view, f"refs/heads/{branch}"):
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


def _from_clone(spec: Spec, repo: Path, git: Git) -> Path:
    root = repo.parent
    if own.load(root) is not None:
        return repo
    if _has_git(repo):
        if own.is_known(root):
            raise ForeignGit("The folder already has a .git that Mesh did not make.")
        own.save(root, own.of_clone(repo, spec.clone_url))  # made by an earlier version of ours
        return repo
    limits = clone_limits(spec.clone_url)
    if repo.exists() and any(repo.iterdir()):
        _clone_around(spec, repo, git, limits)
        return repo
    # Into a new folder beside it, so that an interrupted clone never looks complete.
    part = _unused(repo.with_name("clone"))
    origin = _cloned(spec.clone_url, part, git, limits)
    if spec.branch:
        go_to(spec.branch, view_of(own.of_clone(part, origin), root), git)
    try:
        if repo.exists():
            repo.rmdir()  # a scratch folder that nobody has used
        part.rename(repo)
    except OSError as exc:
        shutil.rmtree(part)
        raise GitFailed("Files appeared in the folder during the clone; try again.") from exc
    own.save(root, own.of_clone(repo, origin))
    return repo


def _cloned(address: str, part: Path, git: Git, limits: tuple[str, ...]) -> str:
    """Clone into ``part``; return the address that worked."""
    clone = ("clone", "--no-recurse-submodules", "--config", NO_REDIRECT)
    outside = Outside(part.parent)
    try:
        _with_retries(git, outside, *clone, "--", address, str(part), limits=limits)
    except GitFailed as exc:
        # Some servers redirect an address without “.git” to the one with it.
        if address.endswith(".git") or not _MOVED.search(str(exc)):
            raise
        longer = f"{address.rstrip('/')}.git"
        _with_retries(git, outside, *clone, "--", longer, str(part), limits=limits)
        return longer
    return address


def _clone_around(spec: Spec, repo: Path, git: Git, limits: tuple[str, ...]) -> None:
    """Turn a folder that already holds files into a clone; none of them is overwritten."""
    outside = Outside(repo.parent)
    git.run(outside, "init", "--quiet", "--", str(repo))
    try:
        made = own.of_clone(repo, spec.clone_url)
        fetched = "+refs/heads/*:refs/remotes/origin/*"
        for key, value in (("url", spec.clone_url), ("fetch", fetched)):
            git.run(outside, *_setting(made, f"remote.origin.{key}", value))
        git.run(outside, *_setting(made, *NO_REDIRECT.split("=")))
        view = view_of(made, repo.parent)
        _with_retries(git, view, "fetch", "--no-recurse-submodules", "origin", limits=limits)
        git.ask(view, "remote", "set-head", "origin", "--auto")
        head = git.ask(view, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
        default = (head or "origin/main").removeprefix("origin/")
        is_theirs = _knows(git, view, f"refs/remotes/origin/{spec.branch}")
        go_to(spec.branch if is_theirs else default, view, git)
        if spec.branch:
            go_to(spec.branch, view, git)
    except GitFailed:
        shutil.rmtree(repo / ".git")  # ours, and incomplete
        raise
    own.save(repo.parent, made)


def go_to(branch: str, view: View, git: Git) -> None:
    """Check out ``branch``: the local one, else origin's, else a new one. Keeps all changes."""
    _check_branch(branch, view.place, git)
    if git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") == branch:
        return
    if _knows(git, view, f"refs/heads/{branch}"):
        git.run(view, "checkout", branch, "--")
        return
    remote = f"refs/remotes/origin/{branch}"
    if not _knows(git, view, remote) and _offers(git, view, branch):
        _with_retries(git, view, "fetch", "origin", f"refs/heads/{branch}:{remote}")
    if _knows(git, view, remote):
        git.run(view, "checkout", "-b", branch, "--no-track", f"origin/{branch}")
        track(branch, view, git)
    else:
        git.run(view, "checkout", "-b", branch)


def track(branch: str, view: View, git: Git) -> None:
    """Make the branch track origin's of the same name, also for people who use git themselves."""
    outside = Outside(view.place)
    for key, value in (("remote", "origin"), ("merge", f"refs/heads/{branch}")):
        git.run(outside, *_setting(view.own, f"branch.{branch}.{key}", value))


def set_identity(name: str, email: str, made: Own, root: Path, git: Git) -> None:
    """Set the author of commits in a clone of ours."""
    for key, value in (("name", name), ("email", email)):
        git.run(Outside(root), *_setting(made, f"user.{key}", value))


def _setting(made: Own, key: str, value: str) -> tuple[str, ...]:
    """Return the arguments that write a setting into a repository's own configuration, which only
    people who use git there themselves read."""
    return ("config", "--file", str(made.common / "config"), key, value)


def _has_git(repo: Path) -> bool:
    return os.path.lexists(repo / ".git")


def _knows(git: Git, view: View, ref: str) -> bool:
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


def _with_retries(git: Git, where: Where, *args: str, limits: tuple[str, ...] = ()) -> None:
    """Run a command that needs the network; up to three times if it fails temporarily.

    ``limits`` are global options of git, put before the command.
    """
    for attempt in range(1, TRIES + 1):
        try:
            git.run(where, *limits, *args)
            return
        except GitFailed as exc:
            if attempt == TRIES or not _PASSING.search(str(exc)):
                raise
            logger.info("git %s failed, retrying in %.0f s: %s", args[0], RETRY_AFTER, exc)
        git.pause(RETRY_AFTER)


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_branch(branch: str, cwd: Path, git: Git) -> None:
    if branch.startswith("-") or not is_branch(branch, cwd, git):
        raise GitFailed(f"“{branch}” can't be the name of a branch.")


def is_branch(name: str, cwd: Path, git: Git) -> bool:
    """Return whether git accepts the name for a branch."""
    return git.ask(Outside(cwd), "check-ref-format", "--branch", name) is not None
