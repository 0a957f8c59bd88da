"""The changes of files in a call's content, as one unified diff for people.

Version 1 of the protocol tells the old and the new text of a file, version 2 a list of changes
with a patch.
"""

from __future__ import annotations

from typing import Any, Final

from agents.harness.diffs import compare, relative
from agents.harness.lines import list_of, object_of, text_of

Block = dict[str, Any]

NOWHERE: Final = "/dev/null"


def paths_of(block: Block, folder: str) -> list[str]:
    """Return the files that a block of type "diff" changes, both names of one that is moved."""
    named = [text_of(block, "path")]
    for change in list_of(block, "changes"):
        named += [text_of(change, "oldPath"), text_of(change, "path")]
    return [relative(path, folder) for path in named if path]


def unified(block: Block, folder: str) -> str:
    """Return the block as a unified diff with paths relative to ``folder``."""
    changes = list_of(block, "changes")
    if not changes:
        path = relative(text_of(block, "path"), folder)
        return compare(path, text_of(block, "oldText"), text_of(block, "newText"))
    patch = object_of(block, "patch")
    text = text_of(patch, "text") if text_of(patch, "format") == "git_patch" else ""
    return _without_git(text, folder) or "".join(_head(change, folder) for change in changes)


def _head(change: Block, folder: str) -> str:
    """Return the head of a change whose lines are not told."""
    path, operation = relative(text_of(change, "path"), folder), text_of(change, "operation")
    old = relative(text_of(change, "oldPath"), folder) or path
    before = NOWHERE if operation == "add" else f"a/{old}"
    after = NOWHERE if operation == "delete" else f"b/{path}"
    return f"--- {before}\n+++ {after}\n"


def _without_git(patch: str, folder: str) -> str:
    """Return a patch of git as a plain diff: without its own lines before each file."""
    kept = []
    is_head = True
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            is_head = True
        elif not is_head and not line.startswith("\\"):
            kept.append(line)
        elif line.startswith("@@"):
            is_head = False
            kept.append(line)
        elif line.startswith(("--- ", "+++ ")):
            kept.append(line[:4] + _side(line[4:], "a/" if line[0] == "-" else "b/", folder))
        elif line.startswith(("rename ", "copy ", "Binary files ")):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def _side(path: str, side: str, folder: str) -> str:
    """Return the path of one side of a diff; some agents leave out git's "a/" and "b/"."""
    if path == NOWHERE:
        return path
    bare = path.removeprefix(side) if not path.startswith("/") else path
    return side + relative(bare, folder)
