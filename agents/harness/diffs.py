"""What changes in files, as people read it: unified diffs with paths of the working folder."""

from __future__ import annotations

import difflib

# Longer files are named, not compared: comparing takes the square of their lines.
COMPARED = 60_000


def relative(path: str, folder: str) -> str:
    """Return ``path`` as seen from ``folder``; one outside of it stays as it is."""
    return path.removeprefix(f"{folder.rstrip('/')}/") if folder else path


def compare(path: str, old: str, new: str) -> str:
    """Return the unified diff between two states of a file; an empty old one: it is new."""
    if len(old) + len(new) > COMPARED:
        return f"--- a/{path}\n+++ b/{path}\n(too long to compare)\n"
    before = f"a/{path}" if old else "/dev/null"
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), before, f"b/{path}", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)
