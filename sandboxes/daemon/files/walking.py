"""Lists the files below a folder, and matches them against a pattern.

Imports only the standard library and one small module, so that the search process starts fast.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator

from mesh.lib.git_names import is_git_name

# Generated or secret: skipped unless the search starts there.
EXCLUDED = frozenset(
    {
        *("node_modules", ".git", ".next", "dist", "build", ".turbo", ".cache"),
        *("__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".ssh", ".aws", ".gnupg"),
    }
)
MOST_ALTERNATIVES = 100


def is_excluded(name: str) -> bool:
    """Return whether folders of that name are skipped."""
    return name in EXCLUDED or is_git_name(name)


_Part = Callable[[str], object] | None  # None stands for **: any number of folders


def walk(folder: int) -> Iterator[str]:
    """Yield the path of each file and link below ``folder``, a descriptor, in order."""
    for where, folders, files, _ in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
        folders[:] = sorted(name for name in folders if not is_excluded(name))
        prefix = where[2:]  # without the "./"
        for name in sorted(name for name in files if not is_git_name(name)):
            yield f"{prefix}/{name}" if prefix else name


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that matches paths: ``*``, ``?``, ``[a-z]``, ``{a,b}`` and ``**``.

    Raises:
        ValueError: the pattern has too many alternatives.
    """
    alternatives = [_parts_of(one) for one in _without_braces(pattern)]

    def fits(path: str) -> bool:
        parts = path.split("/")
        return any(_fits(pattern, parts) for pattern in alternatives)

    return fits


def _parts_of(pattern: str) -> list[_Part]:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    # fnmatch's expressions do not backtrack, so that no pattern takes forever.
    return [None if p == "**" else re.compile(fnmatch.translate(p)).match for p in parts]


def _fits(pattern: list[_Part], parts: list[str]) -> bool:
    at, star, mark, index = 0, -1, 0, 0
    while index < len(parts):
        part = pattern[at] if at < len(pattern) else _never
        if part is None:
            star, mark = at, index
            at += 1
        elif part(parts[index]):
            at, index = at + 1, index + 1
        elif star >= 0:  # let the last ** match one more folder
            mark += 1
            at, index = star + 1, mark
        else:
            return False
    return all(part is None for part in pattern[at:])


def _never(_: str) -> bool:
    return False


def _without_braces(pattern: str) -> list[str]:
    done: list[str] = []
    todo = [pattern]
    while todo:
        one = todo.pop()
        found = re.search(r"\{([^{}]*)\}", one)
        if found is None:
            done.append(one)
        else:
            before, after = one[: found.start()], one[found.end() :]
            todo += [f"{before}{choice}{after}" for choice in found[1].split(",")]
        if len(done) + len(todo) > MOST_ALTERNATIVES:
            raise ValueError("too many alternatives in braces")
    return done
