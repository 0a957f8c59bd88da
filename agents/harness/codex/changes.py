"""File changes for people, as one unified diff."""

from __future__ import annotations

from typing import Any

from agents.harness.diffs import relative
from agents.harness.lines import object_of, text_of


def as_input(changes: list[dict[str, Any]], folder: str) -> dict[str, Any]:
    """Return the input of an edit: the paths and the diff."""
    paths = [relative(text_of(change, "path"), folder) for change in changes]
    return {
        "file_path": ", ".join(paths),
        "diff": "".join(_unified(change, folder) for change in changes),
    }


def _unified(change: dict[str, Any], folder: str) -> str:
    path, body = relative(text_of(change, "path"), folder), text_of(change, "diff")
    kind = object_of(change, "kind")
    if text_of(kind, "type") == "add":
        return f"--- /dev/null\n+++ b/{path}\n{_whole(body, '+')}"
    if text_of(kind, "type") == "delete":
        return f"--- a/{path}\n+++ /dev/null\n{_whole(body, '-')}"
    target = relative(text_of(kind, "move_path"), folder) or path
    ending = "" if not body or body.endswith("\n") else "\n"
    return f"--- a/{path}\n+++ b/{target}\n{body}{ending}"


def _whole(text: str, sign: str) -> str:
    """Return the hunk of a new or deleted file, from its whole text."""
    lines = text.splitlines()
    if not lines:
        return ""
    count = f"1,{len(lines)}"
    head = f"@@ -0,0 +{count} @@\n" if sign == "+" else f"@@ -{count} +0,0 @@\n"
    return head + "".join(f"{sign}{line}\n" for line in lines)
