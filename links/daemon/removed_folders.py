"""Folders of sandboxes that were put aside: kept in ``.removed`` for seven days, and brought back.

A removed sandbox whose chat is used again continues where it was: the next start brings its folder
back. A newer folder without work never hides an older one with work. Blocking.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from links.daemon import freed_branches
from links.wire.names import RESTORED
from mesh.git import own
from mesh.plain_files import write_plain

logger = logging.getLogger(__name__)

KEPT_FOR: Final = 7 * 24 * 3600.0  # seconds
REMOVED: Final = ".removed"


class RemovedFolders:
    """The removed folders of the sandboxes below ``home``.

    The caller holds the sandbox's lock, and its process has ended.
    """

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._home, self._clock = home, clock
        self._removed = home / REMOVED

    def put_aside(self, handle: str) -> float:
        """Move the sandbox's folder aside; return until when it can be restored."""
        self._removed.mkdir(mode=0o700, exist_ok=True)
        freed_branches.free(self._home / handle)
        place = self._removed / f"{handle}.{time.time_ns()}"
        # The modification time records when it was removed, across restarts of the link. Before
        # the move: a folder that nobody has changed for a week would else be deleted at once, if
        # the link dies in between or the move is not completed.
        now = self._clock()
        os.utime(self._home / handle, (now, now))
        _move(self._home / handle, place)
        return now + KEPT_FOR

    def find(self, handle: str) -> Path | None:
        """Return the folder that would be brought back: the latest with work, else the latest."""
        found = sorted(self._removed.glob(f"{handle}.*"), reverse=True)
        return next(filter(has_work, found), found[0] if found else None)

    def may_be_wanted(self, handle: str) -> bool:
        """Return ``False`` if ``is_wanted`` would, as far as two system calls tell: nothing was
        removed yet, or the sandbox has work. They need no worker thread."""
        return self._removed.exists() and not has_work(self._home / handle)

    def is_wanted(self, handle: str) -> bool:
        """Return whether a start of the sandbox must bring a folder back.

        That is so if it has none, or one without work that hides one with work.
        """
        root, found = self._home / handle, self.find(handle)
        if found is None or has_work(root):
            return False
        return not root.exists() or has_work(found)

    def bring_back(self, handle: str, *, is_told: bool) -> bool:
        """Bring the sandbox's folder back; return ``False`` if none was removed.

        A newer folder without work is put aside. With ``is_told``, the sandbox tells the person.
        """
        root, found = self._home / handle, self.find(handle)
        if found is None:
            return False
        # Before the move: a link that dies in between has lost nothing.
        lacks = freed_branches.take_again(found)
        if is_told or lacks:
            write_plain(found / RESTORED, lacks)
        if os.path.lexists(root):
            self.put_aside(handle)
        _move(found, root)
        logger.info("sandbox %s: its removed folder was brought back", handle)
        return True

    def prune(self) -> None:
        """Delete the folders that were removed more than seven days ago."""
        for folder in list(self._removed.glob("*.*")):
            if self._clock() - folder.stat().st_mtime > KEPT_FOR:
                _delete(folder)


def has_work(root: Path) -> bool:
    """Return whether a sandbox's folder holds a working folder with anything in it."""
    try:
        with os.scandir(root / "repo") as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _move(before: Path, after: Path) -> None:
    before.rename(after)
    own.follow_worktree(after, before)


def _delete(folder: Path) -> None:
    """Delete a folder, and its worktree's entry in the person's repository."""
    made = own.load(folder)
    is_listed = made is not None and made.is_worktree_in(folder) and own.is_listed(made)
    shutil.rmtree(folder, ignore_errors=True)
    if made is not None and is_listed:
        shutil.rmtree(made.git_dir, ignore_errors=True)
