"""Which names git takes for its own folder, on whichever file system. Pure."""

from __future__ import annotations

import re

# HFS+ leaves these characters out when it compares names; git lists the same ones.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# NTFS: any case, a short name, dots and blanks at the end, a stream behind a colon.
_DOT_GIT = re.compile(r"(\.git|git~\d+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
_SEPARATORS = re.compile(r"[/\\]")


def is_git_name(name: str) -> bool:
    """Say whether one part of a path is git's folder, on some file system at least."""
    return bool(_DOT_GIT.fullmatch(_IGNORED.sub("", name)))


def is_in_git(path: str) -> bool:
    """Say whether a path is git's folder, or leads through it."""
    return any(is_git_name(part) for part in _SEPARATORS.split(path))
