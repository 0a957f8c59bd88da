"""What git says of a working folder, read into plain facts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it was committed: ``status`` as git's two letters, ``??`` if new."""

    path: str
    status: str

    @property
    def is_new(self) -> bool:
        return self.status == "??"


@dataclass(frozen=True, slots=True)
class Status:
    """The branch and the changes of ``git status --porcelain=v2 --branch -z``."""

    branch: str = ""
    head: str = ""
    changes: tuple[Change, ...] = ()


def parse_status(text: str) -> Status:
    """Return what the command printed, as facts; lines of a kind unknown to us are left out."""
    branch = head = ""
    changes: list[Change] = []
    records = iter(text.split("\0"))
    for record in records:
        kind, _, rest = record.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                head = value
            elif name == "branch.head" and value != "(detached)":
                branch = value
        elif kind == "?":
            changes.append(Change(rest, "??"))
        elif kind in ("1", "u"):
            fields = rest.split(" ", 7 if kind == "1" else 9)
            changes.append(Change(fields[-1], fields[0]))
        elif kind == "2":
            fields = rest.split(" ", 8)
            changes.append(Change(fields[-1], fields[0]))
            next(records, None)  # the name that it had before
    return Status(branch, head, tuple(changes))


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the work of a sandbox stands, compared with what others have."""

    status: Status
    base: str = ""  # such as origin/main
    ahead: int = 0
    behind: int = 0
    unpushed: int = 0  # commits that no remote has

    @property
    def is_dirty(self) -> bool:
        return bool(self.status.changes)

    def meta(self) -> dict[str, Any]:
        """Return what is told of the branch."""
        return {
            "kind": "ready",
            "branch": self.status.branch,
            "base": self.base,
            "workingTreeDirty": self.is_dirty,
            "unpushed": self.unpushed,
            "aheadOfBase": self.ahead,
            "behindBase": self.behind,
            "headSha": self.status.head,
        }


UNKNOWN: dict[str, Any] = {"kind": "unknown"}
