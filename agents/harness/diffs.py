"""File changes for people: unified diffs with paths relative to the working folder."""

from __future__ import annotations

# Characters. Longer files are named, not compared: the comparison takes quadratic time.
COMPARE_LIMIT = 60_000


def relative(path: str, folder: str) -> str:
    """Return ``path`` relative to ``folder``; one outside of it is returned unchanged."""
    return path.removeprefix(f"{folder.rstrip('/')}/") if folder else path


def compare(path: str, old: str, new: str) -> str:
    """Return the unified diff between two states of a file; an empty ``old`` means a new file."""
    if len(old) + len(new) > COMPARE_LIMIT:
        return f"--- a/{path}\n+++ b/{path}\n(too long to compare)\n"
    import difflib  # here: an idle sandbox has nothing to compare

    before = f"a/{path}" if old else "/dev/null"
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), before, f"b/{path}", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)
