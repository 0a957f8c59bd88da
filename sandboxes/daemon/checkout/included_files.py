"""Copies files that git ignores and a project needs, such as ``.env``, into a worktree. Blocking.

Which files: those that ``.worktreeinclude`` at the top of the person's checkout matches (gitignore
syntax), or ``include = ["…"]`` in ``mesh.toml`` or under ``[tool.mesh]`` in ``pyproject.toml``, at
the top or in the subfolder that the person chose. Only files that git ignores are copied, both in
the person's checkout and on the worktree's branch: so none of them appears in a diff. git itself
does all the matching.

The lists are read from the person's checkout and never from the worktree: there an agent could
name any ignored file of the person's and would get it. Contents are never logged; names are.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh.git.own import Own
from mesh.lib.errors import AppError
from mesh.plain_files import new_plain
from sandboxes.daemon.checkout.plain_walk import folder_of, opened, reason_of
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.setup.project import settings_of

logger = logging.getLogger(__name__)

LIST: Final = ".worktreeinclude"
SETTINGS: Final = ("mesh.toml", "pyproject.toml")
COPIED, NOT_COPIED = "files_copied", "files_not_copied"  # codes of the notices
MOST_FILES: Final = 1000
MOST_BYTES: Final = 100 * 1024 * 1024  # of all files together
LIST_LIMIT: Final = 1024 * 1024  # bytes of a file that lists patterns
NAMED: Final = 20  # files that a notice names
_PIECE: Final = 256 * 1024  # bytes read at once
_DRAFT: Final = "included"  # the patterns, in the sandbox's own folder
# What an installer makes, and has to make again in each folder.
_INSTALLED: Final = frozenset({"node_modules", ".venv"})
_GLOB: Final = re.compile(r"([\\*?\[])")


@dataclass(slots=True)
class _Outcome:
    """What was copied, and what was not, by the reason."""

    copied: list[str] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    bytes: int = 0

    def leave(self, path: str, why: str) -> None:
        self.left.setdefault(why, []).append(path)


def copy_included(folder: Path, main: Own, made: Own, git: Git, notices: Notices) -> None:
    """Copy the listed files from the person's checkout ``main`` into its new worktree ``made``.

    ``folder`` is the folder that the person chose, in ``main``. Existing files are never
    overwritten. ``notices`` gets the names of what was copied, and of what was not and why; no
    failure stops the chat from starting.
    """
    notices.forget(COPIED)
    notices.forget(NOT_COPIED)
    root = made.top.parent
    outcome = _Outcome()
    try:
        patterns = _patterns(main.top, folder.resolve(), outcome)
        if patterns:
            _copy_matching(patterns, main, made, git, outcome)
    except (AppError, OSError) as exc:
        logger.warning("copying the files that %s lists failed, continuing: %s", LIST, exc)
        notices.add(NOT_COPIED, f"Files that git ignores could not be copied: {exc}")
    finally:
        (root / _DRAFT).unlink(missing_ok=True)
    _tell(outcome, notices)


def _copy_matching(patterns: str, main: Own, made: Own, git: Git, outcome: _Outcome) -> None:
    draft = made.top.parent / _DRAFT
    with os.fdopen(new_plain(draft), "wb") as file:
        file.write(patterns.encode(errors="surrogateescape"))
    listed = ("ls-files", "-z", "--others", "--ignored", f"--exclude-from={draft}")
    found = git.names(view_of(main, made.top.parent), *listed)
    chosen = list(_chosen(found, made.top, outcome))
    for own in (main, made):
        ignored = _ignored(chosen, own, made.top.parent, git)
        if own is made:
            for path in chosen:
                if path not in ignored:
                    outcome.leave(path, "not ignored on this branch")
        chosen = [path for path in chosen if path in ignored]
    for number, path in enumerate(chosen):
        if number >= MOST_FILES:
            outcome.leave(path, f"more than {MOST_FILES} files")
        else:
            _copy(path, main.top, made.top, outcome)


def _chosen(found: Iterable[str], top: Path, outcome: _Outcome) -> Iterator[str]:
    """Yield the paths that may be copied; those near the top first, which matter most."""
    installed: dict[str, None] = {}
    for path in sorted(filter(None, found), key=lambda path: (path.count("/"), path)):
        parts = path.split("/")
        if made_by_installer := [at for at, part in enumerate(parts) if part in _INSTALLED]:
            installed["/".join(parts[: made_by_installer[0] + 1])] = None
        elif path.endswith("/"):
            outcome.leave(path, "a repository of its own")
        elif _is_behind_link(top, parts):
            outcome.leave(path, "its folder is a link on this branch")
        elif not os.path.lexists(top / path):  # else it is the branch's own
            yield path
    for path in installed:
        outcome.leave(f"{path}/", "an installer makes it")


def _is_behind_link(top: Path, parts: list[str]) -> bool:
    return any((top.joinpath(*parts[:at])).is_symlink() for at in range(1, len(parts)))


def _ignored(paths: list[str], own: Own, root: Path, git: Git) -> frozenset[str]:
    if not paths:
        return frozenset()
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    try:
        names = git.names(view_of(own, root), "check-ignore", "-z", "--stdin", given=given)
    except GitFailed:
        return frozenset()  # git fails too when it ignores none of them
    return frozenset(names)


def _patterns(top: Path, folder: Path, outcome: _Outcome) -> str:
    """Return the patterns of all lists, as one file in gitignore syntax."""
    lines = [_text(top, LIST, outcome)]
    for place in dict.fromkeys((top, folder)):
        inside = place.relative_to(top)
        texts = {name: _text(top, str(inside / name), outcome) for name in SETTINGS}
        include = settings_of({name: text for name, text in texts.items() if text}).get("include")
        given = include if isinstance(include, list) else []
        for name, text in texts.items():
            if why := _why_no_patterns(name, text, include):
                outcome.leave(f"what {inside / name} names", why)
        lines += [_below(inside, word) for word in given if isinstance(word, str) and word]
    return "".join(f"{line}\n" for line in lines if line)


def _why_no_patterns(name: str, text: str, include: object) -> str:
    """Return why a file that is to have patterns names none; empty if it does, or is not to."""
    if name == SETTINGS[1] and "tool.mesh" not in text:
        return ""
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return "it is not valid TOML"
    is_wrong = text and include is not None and not isinstance(include, list)
    return "its “include” is not a list" if is_wrong else ""


def _below(inside: Path, pattern: str) -> str:
    """Return a pattern of the folder ``inside`` as one of the repository's top."""
    pattern = pattern.replace("\n", " ")
    if inside == Path():
        return pattern
    mark, pattern = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    is_anywhere = "/" not in pattern.rstrip("/")
    prefix = _GLOB.sub(r"\\\1", inside.as_posix())
    return f"{mark}/{prefix}/{'**/' if is_anywhere else ''}{pattern.lstrip('/')}"


def _text(top: Path, path: str, outcome: _Outcome) -> str:
    """Return the text of a file in the person's checkout; empty if it is none or can't be read."""
    try:
        with opened(top, path) as file:
            data = os.read(file, LIST_LIMIT + 1)
    except FileNotFoundError:
        return ""
    except OSError as exc:
        outcome.leave(path, reason_of(exc))
        return ""
    if len(data) > LIST_LIMIT:
        outcome.leave(path, "too large to be read")
        return ""
    return data.decode(errors="surrogateescape")


def _copy(path: str, source: Path, target: Path, outcome: _Outcome) -> None:
    try:
        with opened(source, path) as file:
            facts = os.fstat(file)
            if outcome.bytes + facts.st_size > MOST_BYTES:
                outcome.leave(path, f"more than {MOST_BYTES // 1024 // 1024} MB")
                return
            _write(file, facts, path, source, target)
    except OSError as exc:
        outcome.leave(path, reason_of(exc))
    else:
        outcome.bytes += facts.st_size
        outcome.copied.append(path)


def _write(file: int, facts: os.stat_result, path: str, source: Path, target: Path) -> None:
    """Write a new file with the contents and the mode of ``file``; never through a link."""
    with folder_of(target, path, like=source) as (folder, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        made = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            with open(file, "rb", closefd=False) as given, open(made, "wb") as copy:
                left = facts.st_size  # a file that grows meanwhile is copied as it was
                while left > 0 and (data := given.read(min(left, _PIECE))):
                    copy.write(data)
                    left -= len(data)
                copy.flush()
                os.fchmod(copy.fileno(), facts.st_mode & 0o777)
        except OSError:
            os.unlink(name, dir_fd=folder)
            raise


def _tell(outcome: _Outcome, notices: Notices) -> None:
    if outcome.copied:
        logger.info("copied %d files that git ignores", len(outcome.copied))
        notices.add(COPIED, f"Copied from your folder, ignored by git: {_named(outcome.copied)}.")
    for why, paths in outcome.left.items():
        notices.add(NOT_COPIED, f"Not copied from your folder: {_named(paths)} ({why}).")


def _named(paths: list[str]) -> str:
    named = ", ".join(_shown(path) for path in paths[:NAMED])
    more = len(paths) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def _shown(path: str) -> str:
    """Return a path as people see it; what can't be shown is replaced."""
    text = path.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
