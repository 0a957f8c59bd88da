"""Git LFS: says that git-lfs is missing, and sends files' contents before the commits. Blocking.

``mesh.git.calls`` keeps git from calling a git-lfs that is missing: its files are then pointers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from mesh.git.calls import has_lfs
from mesh.git.view import View
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.notices import Notices

MISSING: Final = "lfs_missing"
NOT_FETCHED: Final = "lfs_not_fetched"
# Options with which git checks out pointers in place of files' contents.
POINTERS: Final = (
    *("-c", "filter.lfs.process=", "-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.required=false"),
)
_ATTRIBUTES: Final = ":(glob)**/.gitattributes"
_ADAPTER: Final = "lfs.customtransfer.lfs-standalone-file.path"


def is_installed() -> bool:
    """Return whether git-lfs is on the PATH."""
    return has_lfs(tool_env(os.environ, {}))


def is_used(git: Git, view: View) -> bool:
    """Return whether the last commit has files that belong to Git LFS."""
    options = ("-q", "-I", "-e", "filter=lfs", "HEAD", "--", _ATTRIBUTES)
    return git.ask(view, "grep", *options) is not None


def of_lfs(git: Git, view: View, paths: Iterable[str]) -> list[str]:
    """Return those of the paths that belong to Git LFS.

    Raises:
        GitFailed: git can't read the attributes.
    """
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not given:
        return []
    said = git.names(view, "check-attr", "-z", "--stdin", "filter", given=given)
    return [path for path, value in zip(said[::3], said[2::3], strict=True) if value == "lfs"]


def note(git: Git, view: View, notices: Notices) -> None:
    """Tell the person when files are only pointers, because git-lfs is missing.

    Raises:
        GitFailed: git can't list the files.
    """
    if is_installed() or not is_used(git, view):
        notices.forget(MISSING)
        return
    number = len(of_lfs(git, view, git.names(view, "ls-files", "-z")))
    if number:
        files = "1 file of the project is" if number == 1 else f"{number} files of the project are"
        notices.add(
            MISSING,
            f"git-lfs is not installed on this machine: {files} only a pointer to the contents."
            " Install git-lfs, then run “git lfs pull” in the working folder.",
        )


def note_not_fetched(failure: GitFailed, notices: Notices) -> None:
    """Tell the person that files are only pointers, because their contents did not come.

    Raises:
        GitFailed: ``failure``, if it is not of Git LFS.
    """
    if "filter lfs failed" not in str(failure) and "git-lfs" not in str(failure):
        raise failure
    why = str(failure).rstrip(".")
    notices.renew(
        NOT_FETCHED,
        f"The contents of the project's Git LFS files could not be fetched, so they are only"
        f" pointers: {why}. Run “git lfs pull” in the working folder when it works again.",
    )


def push(git: Git, view: View, remote: str, address: str, branch: str) -> None:
    """Send the objects of the branch's files to the server, if any.

    Raises:
        GitFailed: they did not all arrive.
    """
    if not is_installed() or not is_used(git, view):
        return
    # An agent's .lfsconfig could name a folder of this machine, which git-lfs would write to.
    is_local = address.startswith(("/", "file://"))
    limits = () if is_local else ("-c", f"{_ADAPTER}=false")
    git.run(view, *limits, "lfs", "push", remote, f"refs/heads/{branch}")
