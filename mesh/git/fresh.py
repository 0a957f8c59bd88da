"""A repository that Mesh is making, in a folder that nobody else writes to yet; and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.git.calls import OF_NETWORK, Call, build, command_of
from mesh.git.own import Own
from mesh.git.view import View
from mesh.plain_files import write_plain


@dataclass(frozen=True, slots=True)
class Fresh:
    """Git in the new repository ``folder``, whose configuration only Mesh has written.

    ``protocols`` are those by which it may fetch.
    """

    folder: Path
    protocols: tuple[str, ...] = ()

    def call(self, args: tuple[str, ...], parent: Mapping[str, str]) -> Call:
        """Return the call of a command in the repository."""
        return build(
            args,
            cwd=self.folder,
            parent=parent,
            protocols=self.protocols if command_of(args) in OF_NETWORK else (),
            places={"GIT_DIR": str(self.folder / ".git"), "GIT_WORK_TREE": str(self.folder)},
        )

    def explain(self, said: str) -> str:
        """Return git's message for a person."""
        return said


def source_of(git_dir: Path, place: Path, parent: Mapping[str, str]) -> View:
    """Return the view of a git directory on this machine to fetch from, at ``view.place``.

    The git that serves the fetch reads our copy of the configuration, not the directory's own.
    ``place`` is an existing folder of the sandbox's own. Blocking.

    Raises:
        ForeignGit, GitMissing: see ``View.open``.
    """
    view = View.open(Own(git_dir, git_dir, git_dir), place, parent)
    # Git takes a folder for a repository only if its HEAD is a file. What it says does not matter.
    write_plain(view.place / "HEAD", "ref: refs/heads/none\n", 0o666)
    return view
