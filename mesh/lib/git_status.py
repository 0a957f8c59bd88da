"""Parses what ``git status`` says about a working folder. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs from its commit: ``status`` is git's two letters, ``??`` if new.

    Bytes of the path that are not UTF-8 are surrogates, as ``os.fsdecode`` makes them;
    ``quoted_names.quote`` makes a text of it that others can read.
    """

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


def parse_status(output: bytes) -> Status:
    """Return the command's output as a ``Status``; lines of an unknown kind are left out."""
    branch = head = ""
    changes: list[Change] = []
    records = iter(output.split(b"\0"))
    for record in records:
        kind, _, rest = record.partition(b" ")
        if kind == b"#":
            name, _, value = rest.partition(b" ")
            if name == b"branch.oid" and value != b"(initial)":
                head = os.fsdecode(value)
            elif name == b"branch.head" and value != b"(detached)":
                branch = os.fsdecode(value)
        elif change := _change_in(kind, rest):
            changes.append(change)
        if kind == b"2":
            next(records, None)  # the name that it had before
    return Status(branch, head, tuple(changes))


_FIELDS = {b"1": 7, b"2": 8, b"u": 9}  # before the path, by kind of line


def _change_in(kind: bytes, rest: bytes) -> Change | None:
    if kind == b"?":
        return Change(os.fsdecode(rest), "??")
    if kind not in _FIELDS:
        return None
    fields = rest.split(b" ", _FIELDS[kind])
    return Change(os.fsdecode(fields[-1]), os.fsdecode(fields[0]))
