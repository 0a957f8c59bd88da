"""Which names git treats as its own folder, on any file system. Pure."""

from __future__ import annotations

import re

# HFS+ ignores these characters when it compares names; git has the same list.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# NTFS: any case, a short name, trailing dots and spaces, a stream after a colon.
_DOT_GIT = re.compile(r"(\.git|git~\d+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
_SEPARATORS = re.compile(r"[/\\]")


def is_git_name(name: str) -> bool:
    """Return whether one part of a path is git's folder on at least one file system."""
    return bool(_DOT_GIT.fullmatch(_IGNORED.sub("", name)))


def is_in_git(path: str) -> bool:
    """Return whether a path is git's folder, or leads through it."""
    return any(is_git_name(part) for part in _SEPARATORS.split(path))
