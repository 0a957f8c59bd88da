"""Parses what ``git status`` says about a working folder. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


class Records:
    """Splits an output that arrives in pieces into the records that NULs end."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the records that this piece completes."""
        *records, self._rest = (self._rest + piece).split(b"\0")
        return records


class StatusReader:
    """Reads the output of the command piece by piece; lines of an unknown kind are left out."""

    def __init__(self) -> None:
        self.branch = ""
        self.head = ""
        self._records = Records()
        self._is_old_name = False  # the next record is a renamed file's former name

    def feed(self, piece: bytes) -> Iterator[Change]:
        """Yield the changes that this piece completes."""
        for record in self._records.feed(piece):
            if self._is_old_name:
                self._is_old_name = False
                continue
            kind, _, rest = record.partition(b" ")
            self._is_old_name = kind == b"2"
            if kind == b"#":
                self._note(rest)
            elif change := _change_in(kind, rest):
                yield change

    def _note(self, rest: bytes) -> None:
        name, _, value = rest.partition(b" ")
        if name == b"branch.oid" and value != b"(initial)":
            self.head = os.fsdecode(value)
        elif name == b"branch.head" and value != b"(detached)":
            self.branch = os.fsdecode(value)


def parse_status(output: bytes) -> Status:
    """Return the command's whole output as a ``Status``."""
    reader = StatusReader()
    changes = tuple(reader.feed(output))
    return Status(reader.branch, reader.head, changes)


_FIELDS = {b"1": 7, b"2": 8, b"u": 9}  # before the path, by kind of line


def _change_in(kind: bytes, rest: bytes) -> Change | None:
    if kind == b"?":
        return Change(os.fsdecode(rest), "??")
    if kind not in _FIELDS:
        return None
    fields = rest.split(b" ", _FIELDS[kind])
    return Change(os.fsdecode(fields[-1]), os.fsdecode(fields[0]))
