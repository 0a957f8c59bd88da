"""Clones a repository into the working folder. Blocking."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

from mesh.git import own
from mesh.git.calls import NO_REDIRECT, Outside
from mesh.git.errors import AddressRefused
from mesh.git.own import ForeignGit, Own
from mesh.lib.addresses import Address, is_odd_number, is_off_limits, is_public, parse_address
from mesh.lib.repositories import CloneUrl, Unclonable, is_local_name, parse_clone_url
from sandboxes.daemon.checkout.branches import go_to, has_git, knows, setting_in, with_retries
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import REMADE, Notices
from sandboxes.daemon.spec import Spec

_PROTOCOLS = (
    *("-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always"),
    *("-c", "protocol.ssh.allow=always"),
)
_LOST = (
    "The working folder was gone, so the repository was cloned again; work that was not pushed"
    " went with the folder."
)
_REFUSED = "Git may not clone from the repository's address."
_MOVED = re.compile(r"returned error: 30\d")


def clone_limits(clone_url: str, *, is_public_only: bool = False) -> tuple[str, ...]:
    """Return options that limit git to the address's own host; see ``mesh.lib.repositories``.

    With ``is_public_only``, its host must be the same for everybody on the internet: for an address
    that no server has checked.

    Raises:
        AddressRefused: git may not clone from the address, or its host is this machine or network.
    """
    parts = checked_address(clone_url)
    if is_odd_number(parts.host):
        raise AddressRefused(f"{_REFUSED} Its host is a number in an odd form.")
    literal = parse_address(parts.host)
    found = [literal] if literal else _addresses_of(parts.host)
    if any(is_off_limits(address) for address in found) or (
        is_public_only
        and (is_local_name(parts.host) if not found else not all(map(is_public, found)))
    ):
        raise AddressRefused(
            "The repository's address leads to this machine or to its own network."
        )
    limits = [*_PROTOCOLS, "-c", NO_REDIRECT]
    if literal is None and found and parts.scheme == "https":
        pinned = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in found)
        limits += ["-c", f"http.curloptResolve={parts.host}:{parts.port}:{pinned}"]
    return tuple(limits)


def checked_address(clone_url: str) -> CloneUrl:
    """Return the parts of an address that git may clone from.

    Raises:
        AddressRefused: git must not get it.
    """
    try:
        return parse_clone_url(clone_url)
    except Unclonable as exc:
        raise AddressRefused(f"{_REFUSED} {exc}") from exc


def _addresses_of(host: str) -> list[Address]:
    """Return a name's addresses; none if only a proxy or ssh's own settings can resolve it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return [address for address in dict.fromkeys(addresses) if address is not None]


def from_clone(spec: Spec, repo: Path, git: Git, notices: Notices) -> Path:
    """Clone the repository unless the folder is its clone already; return the folder.

    Raises:
        GitFailed, ForeignGit: see ``sources.prepare``.
    """
    root = repo.parent
    made = own.load(root)
    if made is not None and repo.is_dir() and any(repo.iterdir()):
        return repo
    if made is not None:
        notices.renew(REMADE, _LOST)
    if has_git(repo):
        if own.is_known(root):
            raise ForeignGit("The folder already has a .git that Mesh did not make.")
        own.save(root, own.of_clone(repo, spec.clone_url))  # made by an earlier version of ours
        return repo
    limits = clone_limits(spec.clone_url)
    if repo.exists() and any(repo.iterdir()):
        _clone_around(spec, repo, git, limits, notices)
        return repo
    # Into a new folder beside it, so that an interrupted clone never looks complete.
    part = _unused(repo.with_name("clone"))
    origin = _cloned(spec.clone_url, part, git, limits)
    if spec.branch:
        view = view_of(own.of_clone(part, origin), root)
        go_to(spec.branch, view, git, notices, may_ask=False)
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
    # Whatever the person's clone.defaultRemoteName: our clones have one remote, called origin.
    clone = ("clone", "--no-recurse-submodules", "--origin", "origin", "--config", NO_REDIRECT)
    outside = Outside(part.parent)
    try:
        with_retries(git, outside, *clone, "--", address, str(part), limits=limits)
    except GitFailed as exc:
        # Some servers redirect an address without “.git” to the one with it.
        if address.endswith(".git") or not _MOVED.search(str(exc)):
            raise
        longer = f"{address.rstrip('/')}.git"
        with_retries(git, outside, *clone, "--", longer, str(part), limits=limits)
        return longer
    return address


def _clone_around(
    spec: Spec, repo: Path, git: Git, limits: tuple[str, ...], notices: Notices
) -> None:
    """Turn a folder that already holds files into a clone; none of them is overwritten."""
    outside = Outside(repo.parent)
    git.run(outside, "init", "--quiet", "--", str(repo))
    try:
        made = own.of_clone(repo, spec.clone_url)
        fetched = "+refs/heads/*:refs/remotes/origin/*"
        for key, value in (("url", spec.clone_url), ("fetch", fetched)):
            git.run(outside, *setting_in(made, f"remote.origin.{key}", value))
        git.run(outside, *setting_in(made, *NO_REDIRECT.split("=")))
        view = view_of(made, repo.parent)
        with_retries(git, view, "fetch", "--no-recurse-submodules", "origin", limits=limits)
        git.ask(view, "remote", "set-head", "origin", "--auto")
        head = git.ask(view, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
        default = (head or "origin/main").removeprefix("origin/")
        is_theirs = knows(git, view, f"refs/remotes/origin/{spec.branch}")
        go_to(spec.branch if is_theirs else default, view, git, notices, may_ask=False)
        if spec.branch:
            go_to(spec.branch, view, git, notices, may_ask=False)
    except GitFailed:
        shutil.rmtree(repo / ".git")  # ours, and incomplete
        raise
    own.save(repo.parent, made)


def set_identity(name: str, email: str, made: Own, root: Path, git: Git) -> None:
    """Set the author of commits in a clone of ours."""
    for key, value in (("name", name), ("email", email)):
        git.run(Outside(root), *setting_in(made, f"user.{key}", value))


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(1, 1000))
    return next(candidate for candidate in candidates if not candidate.exists())
