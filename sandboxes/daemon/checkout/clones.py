"""Clones a repository into the working folder. Blocking."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from mesh.git import own
from mesh.git.calls import NO_REDIRECT, Outside
from mesh.git.errors import (
    AddressMoved,
    AddressRefused,
    FilterFailed,
    NotAGitServer,
    RepositoryUnknown,
)
from mesh.git.own import ForeignGit, Own
from mesh.git.view import View
from mesh.lib.addresses import Address, is_odd_number, is_off_limits, is_public, parse_address
from mesh.lib.repositories import CloneUrl, Unclonable, is_local_name, parse_clone_url
from sandboxes.daemon import lfs
from sandboxes.daemon.checkout.branches import go_to, has_git, knows, setting_in, with_retries
from sandboxes.daemon.checkout.remotes import tracking
from sandboxes.daemon.checkout.servers import answer_of
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
_PART = "clone"  # a folder beside the working folder, with a number
EMPTY, NO_DEFAULT = "empty_repository", "no_default_branch"  # of notices
USUAL = ("main", "master")


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
    clone = _Clone(spec, repo, git, notices, clone_limits(spec.clone_url))
    if repo.exists() and any(repo.iterdir()):
        clone.make_around()
    else:
        clone.make()
    return repo


@dataclass(frozen=True, slots=True)
class _Clone:
    """The clone ``repo`` of the repository that ``spec`` names; ``limits`` are options of git."""

    spec: Spec
    repo: Path
    git: Git
    notices: Notices
    limits: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.repo.parent

    def make(self) -> None:
        """Clone into a new folder beside it, so that an interrupted clone never looks complete."""
        for left in self.root.glob(f"{_PART}-*"):
            shutil.rmtree(left)  # of a process that was killed while it cloned
        part = self.root / f"{_PART}-1"
        try:
            origin = self._cloned(part)
            self._check_out(own.of_clone(part, origin))
            self._put(part, own.of_clone(self.repo, origin))
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _put(self, part: Path, made: Own) -> None:
        before = own.load(self.root)
        try:
            if self.repo.exists():
                self.repo.rmdir()  # a scratch folder that nobody has used
            # First, so that a clone is never taken for a .git that an agent made.
            own.save(self.root, made)
            part.rename(self.repo)
        except OSError as exc:
            own.save(self.root, before)
            raise GitFailed("Files appeared in the folder during the clone; try again.") from exc

    def _cloned(self, part: Path) -> str:
        """Clone into ``part``; return the address that worked."""
        address = self.spec.clone_url
        try:
            self._clone(address, part)
        except AddressMoved:
            # Some servers redirect an address without “.git” to the one with it.
            if address.endswith(".git"):
                raise self._moved() from None
            longer = f"{address.rstrip('/')}.git"
            try:
                self._clone(longer, part)
            except (AddressMoved, RepositoryUnknown):
                raise self._moved() from None
            return longer
        return address

    def _clone(self, address: str, part: Path) -> None:
        # Whatever the person's clone.defaultRemoteName: ours have one remote, called origin.
        options = ("--no-recurse-submodules", "--origin", "origin", "--config", NO_REDIRECT)
        command = ("clone", *options, "--", address, str(part))
        try:
            with_retries(self.git, Outside(self.root), *command, limits=self.limits)
        except FilterFailed as exc:
            lfs.note_not_fetched(exc, self.notices)
            shutil.rmtree(part, ignore_errors=True)
            limits = (*self.limits, *lfs.POINTERS)
            with_retries(self.git, Outside(self.root), *command, limits=limits)

    def _moved(self) -> AddressMoved:
        answer = answer_of(self.spec.clone_url, self.root, self.git, self.limits)
        where = f" to {answer.location}" if answer.location else ""
        return AddressMoved(f"The repository's address redirects{where}.")

    def make_around(self) -> None:
        """Turn a folder that already holds files into a clone; none of them is overwritten."""
        git, outside = self.git, Outside(self.root)
        git.run(outside, "init", "--quiet", "--", str(self.repo))
        try:
            made = own.of_clone(self.repo, self.spec.clone_url)
            fetched = "+refs/heads/*:refs/remotes/origin/*"
            for key, value in (("url", self.spec.clone_url), ("fetch", fetched)):
                git.run(outside, *setting_in(made, f"remote.origin.{key}", value))
            git.run(outside, *setting_in(made, *NO_REDIRECT.split("=")))
            view = view_of(made, self.root)
            fetch = ("fetch", "--no-recurse-submodules", "origin")
            try:
                with_retries(git, view, *fetch, limits=self.limits)
            except AddressMoved:
                raise self._moved() from None
            git.ask(view, "remote", "set-head", "origin", "--auto")
            self._check_out(made)
        except BaseException:
            shutil.rmtree(self.repo / ".git")  # ours, and incomplete
            raise
        own.save(self.root, made)

    def _check_out(self, made: Own) -> None:
        """Check out the branch of the chat, and say what is odd about the server's branches."""
        git, view, branch = self.git, view_of(made, self.root), self.spec.branch
        is_theirs = bool(branch) and knows(git, view, tracking("origin", branch))
        if not is_theirs and not knows(git, view, "HEAD"):
            self._check_out_default(view)
        if branch:
            go_to(branch, view, git, self.notices, may_ask=False)

    def _check_out_default(self, view: View) -> None:
        git = self.git
        named = git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") or ""
        if head := git.ask(view, "symbolic-ref", "--short", "-q", "refs/remotes/origin/HEAD"):
            go_to(head.removeprefix("origin/"), view, git, self.notices, may_ask=False)
            return
        refs = ("--sort=-committerdate", "--format=%(refname:lstrip=3)", "refs/remotes/origin")
        branches = (git.ask(view, "for-each-ref", *refs) or "").splitlines()
        if not branches:
            self._check_answer(view.own.origin)
            self.notices.renew(
                EMPTY,
                "The repository on the server has no commit yet, so the folder is empty. The first"
                f" commit goes to the branch “{self.spec.branch or named}”.",
            )
            return
        chosen = next((name for name in USUAL if name in branches), branches[0])
        among = "its only branch" if len(branches) == 1 else f"one of its {len(branches)} branches"
        go_to(chosen, view, git, self.notices, may_ask=False)
        self.notices.renew(
            NO_DEFAULT,
            f"The server's default branch does not exist. The folder is on “{chosen}”, {among}."
            " To start from another one, choose it as the chat's branch.",
        )

    def _check_answer(self, address: str) -> None:
        """Check that it was a git server that listed no branch at ``address``.

        Raises:
            NotAGitServer: it was not.
        """
        if checked_address(address).scheme != "https":
            return
        if not answer_of(address, self.root, self.git, self.limits).is_git:
            raise NotAGitServer(
                "The repository's address answers, but not as a git server does: probably with a"
                " page for people, such as a sign-in page."
            )


def set_identity(name: str, email: str, made: Own, root: Path, git: Git) -> None:
    """Set the author of commits in a clone of ours."""
    for key, value in (("name", name), ("email", email)):
        git.run(Outside(root), *setting_in(made, f"user.{key}", value))
