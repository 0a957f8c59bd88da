"""Parses what ``git status`` says about a working folder. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs from its commit: ``status`` is git's two letters, ``??`` if new."""

    path: str
    status: str

    @property
    def is_new(self) -> bool:
        return self.status == "??"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that git does not read: a repository of its own."""
        return self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Status:
    """The branch and the changes of ``git status --porcelain=v2 --branch -z``."""

    branch: str = ""
    head: str = ""
    changes: tuple[Change, ...] = ()


def parse_status(text: str) -> Status:
    """Return the command's output as a ``Status``; lines of an unknown kind are left out."""
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
