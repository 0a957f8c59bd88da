"""Which remote a branch belongs to, and whether the remote's server has it. Blocking.

Not every repository calls its server ``origin``, and one with a fork has two. A repository's
settings decide, as they do for git itself; where they don't, Mesh does not guess.
"""

from __future__ import annotations

import re
from typing import Final

from mesh.git.errors import NotAGitServer
from mesh.git.view import View
from sandboxes.daemon.git import Git

ASK_WITHIN: Final = 30.0  # seconds; longer, a chat would seem to hang when the VPN is off
# Agents can write a repository's settings: no name may look like an option or leave refs/remotes.
_NAME: Final = re.compile(r"(?!.*\.\.)\w[\w.+@/-]*")
_MAIN: Final = ("main", "master")
# Fetching one branch changes only its tracking branch: no tags, nothing pruned, no FETCH_HEAD.
ONE_BRANCH: Final = (
    *("fetch", "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head"),
    "--no-recurse-submodules",
)


def remotes(git: Git, view: View) -> list[str]:
    """Return the names of the repository's remotes."""
    names = (git.ask(view, "remote") or "").splitlines()
    return [name for name in names if _NAME.fullmatch(name)]


def remote_of(git: Git, view: View, branch: str) -> str:
    """Return the remote that ``branch`` is published to; empty if the settings don't say.

    That is the one the branch tracks, else ``remote.pushDefault``, the only one, or ``origin``;
    else the only one that is known to have a branch of that name.
    """
    names = remotes(git, view)
    found = _first([_tracked(git, view, branch), _push_default(git, view), *_usual(names)], names)
    if found:
        return found
    having = [name for name in names if has_branch(git, view, name, branch)]
    return having[0] if len(having) == 1 else ""


def base_remote(git: Git, view: View) -> str:
    """Return the remote that has the shared branches; empty if the settings don't say.

    Not ``remote.pushDefault``, which names a fork: its main branch is often an old one.
    """
    names = remotes(git, view)
    if len(names) < 2:
        return _first(names, names)  # the settings could name no other
    return _first([*(_tracked(git, view, branch) for branch in _MAIN), *_usual(names)], names)


def sources(git: Git, view: View, branch: str) -> list[str]:
    """Return the remotes to look for ``branch`` in, the likeliest first."""
    names = remotes(git, view)
    current = git.ask(view, "symbolic-ref", "--short", "-q", "HEAD") or ""
    wanted = [_tracked(git, view, branch), _tracked(git, view, current), _push_default(git, view)]
    return [name for name in dict.fromkeys([*wanted, *_usual(names)]) if name in names]


def tracking(remote: str, branch: str) -> str:
    """Return the reference that is our copy of the remote's branch."""
    return f"refs/remotes/{remote}/{branch}"


def has_branch(git: Git, view: View, remote: str, branch: str) -> bool:
    """Return whether the repository knows such a branch of the remote; no server is asked."""
    found = git.ask(view, "rev-parse", "--verify", "--quiet", tracking(remote, branch))
    return found is not None


def offers(git: Git, view: View, remote: str, branch: str) -> bool:
    """Ask the remote's server whether it has the branch.

    Raises:
        NotAGitServer: it answered without any branch, although it had some before.
        GitFailed: it can't be asked.
    """
    wanted = f"refs/heads/{branch}"
    listed = git.words(view, "ls-remote", remote, "HEAD", wanted, within=ASK_WITHIN)
    if any(line.endswith(f"\t{wanted}") for line in listed.splitlines()):
        return True
    if not listed and git.ask(view, "for-each-ref", "--count=1", f"refs/remotes/{remote}"):
        raise NotAGitServer(f"The server of “{remote}” lists no branch any more.")
    return False


def _tracked(git: Git, view: View, branch: str) -> str:
    return (git.ask(view, "config", "--get", f"branch.{branch}.remote") or "") if branch else ""


def _push_default(git: Git, view: View) -> str:
    return git.ask(view, "config", "--get", "remote.pushDefault") or ""


def _usual(names: list[str]) -> list[str]:
    return names if len(names) == 1 else ["origin"]


def _first(wanted: list[str], names: list[str]) -> str:
    return next((name for name in wanted if name in names), "")
