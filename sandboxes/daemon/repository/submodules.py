"""The state of the work inside the submodules that Mesh filled. Blocking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.git import submodules
from mesh.git.submodules import Filled
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.git_status import Change, parse_status
from mesh.lib.quoted_names import quote
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.git import Git
from sandboxes.daemon.repository.state import STATUS


@dataclass(frozen=True, slots=True)
class SubmoduleState:
    """A submodule with its changes, and how many of its commits no remote has.

    ``is_known`` is false for one that somebody else filled, or that was replaced: Mesh does not
    look into it. ``head`` is empty where its folder is.
    """

    path: str
    head: str = ""
    changes: tuple[Change, ...] = ()
    unpushed: int = 0
    is_known: bool = True

    def as_json(self) -> dict[str, Any]:
        files = [{"path": quote(change.path), "status": change.status} for change in self.changes]
        return {
            "path": quote(self.path),
            "known": self.is_known,
            "headSha": self.head,
            "files": files,
            "unpushed": self.unpushed,
        }


def states(git: Git, view: View, root: Path) -> list[SubmoduleState]:
    """Return the state of each submodule of a repository; ``root`` is the sandbox's own folder."""
    record = submodules.load(root)
    top = view.own.top
    if not (record and record.filled) and not os.path.lexists(top / ".gitmodules"):
        return []
    listed = submodules.modules_in(os.fsencode(git.ask(view, *submodules.LISTED) or ""))
    filled = {each.path: each for each in record.filled} if record else {}
    return [
        _state(filled[path], git, top, root)
        if path in filled
        else SubmoduleState(path, is_known=not submodules.is_filled(top / path))
        for path in sorted({*listed, *filled})
    ]


def _state(filled: Filled, git: Git, top: Path, root: Path) -> SubmoduleState:
    if not submodules.is_filled(top / filled.path):
        return SubmoduleState(filled.path)
    try:
        view = submodules.view_of(filled, top, root, tool_env(os.environ, {}))
        found = parse_status(git.output(view, *STATUS))
    except (AppError, OSError):
        return SubmoduleState(filled.path, is_known=False)
    mine = ("rev-list", "--count", "HEAD", "--not", "--remotes", filled.commit, "--")
    unpushed = int(git.ask(view, *mine) or 0)
    return SubmoduleState(filled.path, found.head, found.changes, unpushed)
