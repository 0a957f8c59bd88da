"""Tells the person what a new worktree starts from, and what it lacks. Blocking."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.git.own import Own
from mesh.git.view import View
from mesh.lib.errors import AppError
from sandboxes.daemon.git import Git, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.take_along import uncommitted

logger = logging.getLogger(__name__)

BEHIND: Final = "starts_behind"
LACKS_CHANGES: Final = "starts_without_changes"  # pages offer to take them along
_SHARED: Final = ("origin/main", "origin/master")


@dataclass(frozen=True, slots=True)
class StartPoint:
    """What a worktree starts from: ``commit`` is empty without one; ``fetched_at`` is when the
    person last fetched, in their own words for a time, and empty if unknown."""

    commit: str
    changes: int = 0
    behind: int = 0
    upstream: str = ""
    fetched_at: str = ""

    def in_words(self) -> str:
        """Return what the person must know; empty if it lacks nothing."""
        lacks = []
        if self.changes:
            words = "changes of yours are" if self.changes > 1 else "change of yours is"
            lacks.append(f"{self.changes:,} uncommitted {words} not in it")
        if self.behind:
            commits = f"{self.behind:,} commit{'' if self.behind == 1 else 's'}"
            when = f", as of your last fetch on {self.fetched_at}" if self.fetched_at else ""
            lacks.append(f"it is {commits} behind {self.upstream}{when}")
        start = f"Starts from {self.commit}" if self.commit else "Starts empty, without a commit"
        return f"{start}: {'; '.join(lacks)}." if lacks else ""


def tell(main: Own, made: Own, root: Path, git: Git, notices: Notices) -> None:
    """Add a notice about ``made``, the new worktree of ``main``, if it lacks anything."""
    try:
        found = _look(main, made, root, git)
    except (AppError, OSError) as exc:
        logger.warning("comparing a new worktree with its origin failed, not telling: %s", exc)
        return
    if words := found.in_words():
        notices.add(LACKS_CHANGES if found.changes else BEHIND, words)


def _look(main: Own, made: Own, root: Path, git: Git) -> StartPoint:
    behind, upstream = _behind(view_of(made, root), view_of(main, root), git)
    commit = git.ask(view_of(made, root), "log", "-1", "--no-show-signature", "--format=%h “%s”")
    return StartPoint(
        commit or "",
        changes=0 if main.is_bare else len(uncommitted(main, root, git)),
        behind=behind,
        upstream=upstream,
        fetched_at=_last_fetch(main) if behind else "",
    )


def _behind(made: View, main: View, git: Git) -> tuple[int, str]:
    """Return how many commits a shared branch has that the worktree lacks, and its name.

    That is the upstream of the branch itself, or of the person's branch that it starts from.
    """
    default = git.ask(made, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD")
    of_itself = git.ask(made, "rev-parse", "--abbrev-ref", "@{upstream}")
    of_theirs = git.ask(main, "rev-parse", "--abbrev-ref", "@{upstream}")
    for name in (of_itself, of_theirs, default, *_SHARED):
        if name and git.ask(made, "rev-parse", "-q", "--verify", name, "--"):
            count = git.ask(made, "rev-list", "--count", f"HEAD..{name}", "--")
            return int(count or 0), name
    return 0, ""


def _last_fetch(main: Own) -> str:
    times = []
    for folder in {main.git_dir, main.common}:
        try:
            times.append((folder / "FETCH_HEAD").stat().st_mtime)
        except OSError:
            continue
    return time.strftime("%Y-%m-%d at %H:%M", time.localtime(max(times))) if times else ""
