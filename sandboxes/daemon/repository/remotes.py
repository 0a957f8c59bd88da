"""Where a branch is published to, and what is there now. Blocking.

The server is asked each time: what this repository remembers of it may be old, and single-branch
clones remember nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mesh.git.view import View
from sandboxes.daemon.git import Git, GitFailed, redact
from sandboxes.daemon.repository.errors import NothingToPublish

_REFLOG = 1000  # entries that are compared with the published commits
_REF = re.compile(r"ref: refs/heads/(\S+)\tHEAD")


@dataclass(frozen=True, slots=True)
class Target:
    """A branch of a remote; ``address`` is where git pushes it to."""

    remote: str
    branch: str
    address: str
    fetches_from_it: bool  # else it is fetched from another address

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def tracking(self) -> str:
        """The reference by which this repository remembers the published branch."""
        return f"refs/remotes/{self.remote}/{self.branch}"

    @property
    def asked(self) -> str:
        """What git is told in order to ask the place that the branch is pushed to."""
        return self.remote if self.fetches_from_it else self.address

    @property
    def shown(self) -> str:
        """The address without its password."""
        return redact(self.address)


@dataclass(frozen=True, slots=True)
class Published:
    """What the server has: the commit of the branch, if any, and the name of its default one."""

    commit: str = ""
    default: str = ""


def target_of(git: Git, view: View, branch: str) -> Target:
    """Return where git itself would push the branch to.

    Raises:
        NothingToPublish: there is no remote, or it is not clear which one.
    """
    remote = _remote_of(git, view, branch)
    pushed_to = (git.ask(view, "remote", "get-url", "--push", remote) or "").split("\n")[0]
    fetched_from = (git.ask(view, "remote", "get-url", remote) or "").split("\n")[0]
    if not pushed_to:
        raise NothingToPublish(f"The remote “{remote}” has no address.")
    name = _name_there(git, view, branch, remote)
    return Target(remote, name, pushed_to, pushed_to == fetched_from)


def published(git: Git, view: View, target: Target) -> Published:
    """Ask the server.

    Raises:
        GitFailed: it can't be asked.
    """
    code, said = git.code(view, "ls-remote", "--symref", "--", target.asked, "HEAD", target.ref)
    if code != 0:
        # Again, for its words.
        git.run(view, "ls-remote", "--", target.asked, "HEAD")
        raise GitFailed(f"The server of “{target.remote}” could not be asked.")
    default = _REF.search(said)
    commits = {ref: oid for oid, _, ref in (line.partition("\t") for line in said.splitlines())}
    return Published(commits.get(target.ref, ""), default[1] if default else "")


def is_ahead(git: Git, view: View, target: Target, commit: str) -> bool:
    """Return whether the branch contains the published ``commit``; fetch that, if it is new.

    No reference changes.

    Raises:
        GitFailed: it can't be fetched.
    """
    if not _has(git, view, commit):
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
        git.run(view, "fetch", *options, "--", target.asked, target.ref)
    return git.ask(view, "merge-base", "--is-ancestor", commit, "HEAD") is not None


def was_ours(git: Git, view: View, branch: str, commit: str) -> bool:
    """Return whether this branch once had everything that the published ``commit`` contains."""
    listed = git.ask(
        view, "rev-list", "--walk-reflogs", f"--max-count={_REFLOG}", f"refs/heads/{branch}", "--"
    )
    for once in dict.fromkeys((listed or "").split()):
        if git.ask(view, "merge-base", "--is-ancestor", commit, once) is not None:
            return True
    return False


def remember(git: Git, view: View, target: Target, commit: str) -> None:
    """Note what was pushed, where git itself does not: in single-branch clones, for example.

    Raises:
        GitFailed: the reference can't be written.
    """
    if git.ask(view, "rev-parse", "--quiet", "--verify", target.tracking) != commit:
        git.run(view, "update-ref", "-m", "published", target.tracking, commit)


def _remote_of(git: Git, view: View, branch: str) -> str:
    remotes = (git.ask(view, "remote") or "").split()
    if not remotes:
        raise NothingToPublish
    if len(remotes) == 1:
        return remotes[0]
    keys = (f"branch.{branch}.pushRemote", "remote.pushDefault", f"branch.{branch}.remote")
    for key in keys:
        name = _setting(git, view, key)
        if name and name != ".":  # “.” is this repository
            if name not in remotes:
                raise NothingToPublish(f"There is no remote “{name}”, which {key} names.")
            return name
    if "origin" not in remotes:
        raise NothingToPublish(
            f"There are several remotes ({', '.join(remotes)}), and none is the default.",
        )
    return "origin"


def _name_there(git: Git, view: View, branch: str, remote: str) -> str:
    """Return the branch's name on the remote: its own, unless the person pushes to upstreams.

    “git checkout -b fix origin/develop” makes develop the upstream of fix, and nobody means to
    publish fix there.
    """
    # Read from their files: our own calls set it.
    scopes = ("--global", "--system")
    said = (git.ask(view, "config", s, "--includes", "--get", "push.default") for s in scopes)
    if next(filter(None, said), "") not in ("upstream", "tracking"):
        return branch
    merge = _setting(git, view, f"branch.{branch}.merge")
    is_there = _setting(git, view, f"branch.{branch}.remote") == remote
    return merge.removeprefix("refs/heads/") if merge and is_there else branch


def _setting(git: Git, view: View, key: str) -> str:
    return git.ask(view, "config", "--get", key) or ""


def _has(git: Git, view: View, commit: str) -> bool:
    return git.ask(view, "cat-file", "-e", f"{commit}^{{commit}}") is not None
