"""The state of the work in a sandbox's repository. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mesh.lib.git_status import Change, Status
from mesh.lib.quoted_names import quote

# The command that says which files differ from the last commit, and on which branch.
STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z"),
    *("--untracked-files=all", "--ignore-submodules=dirty", "--no-renames"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of the work in a sandbox, compared with its base branch."""

    status: Status  # without the changes
    own: tuple[Change, ...] = ()  # the changes without those that the project's start made
    by_start: tuple[Change, ...] = ()  # those that its installation or the server's start made
    unlisted: int = 0  # further changes that are not in ``own``: there are too many
    base: str = ""  # such as origin/main
    ahead: int = 0
    behind: int = 0
    unpushed: int = 0  # commits that no remote has

    @property
    def is_dirty(self) -> bool:
        return bool(self.own)

    def meta(self) -> dict[str, Any]:
        """Return the branch's published state."""
        return {
            "kind": "ready",
            "branch": quote(self.status.branch),
            "base": quote(self.base),
            "workingTreeDirty": self.is_dirty,
            "unpushed": self.unpushed,
            "aheadOfBase": self.ahead,
            "behindBase": self.behind,
            "headSha": self.status.head,
        }


UNKNOWN: dict[str, Any] = {"kind": "unknown"}
