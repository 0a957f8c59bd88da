"""The folders of sandboxes on the disk: how big they are, and how one is removed.

A folder is removed only when nothing in it would be lost, or by force; and it can be had back
for seven days, from ``.removed`` beside the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from links.daemon.errors import AlreadyThere, SandboxDown, UnknownHandle, UnsavedWork
from links.daemon.sandbox_process import environment
from links.daemon.supervisor import Supervisor
from mesh import boot_files
from mesh.git import own
from mesh.git.calls import GitMissing
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.git_status import parse_status

logger = logging.getLogger(__name__)

KEPT_FOR: Final = 7 * 24 * 3600.0  # seconds
PRUNE_EVERY: Final = 3600.0
GIT_WITHIN: Final = 30.0
REMOVED: Final = ".removed"
# The journal of a sandbox's runs, as SQLite keeps it.
JOURNAL: Final = ("journal.db", "journal.db-wal", "journal.db-shm")

_STATUS: Final = (
    *("status", "--porcelain=v2", "-z"),
    *("--untracked-files=all", "--ignore-submodules=dirty"),
)

DIRTY, IN_NO_REPOSITORY = "uncommitted_changes", "files_in_no_repository"
UNPUSHED, STASHED, UNKNOWN = "unpushed_commits", "stashed_changes", "not_known"
# Why something would be lost, as people read it.
REASONS: Final = {
    DIRTY: "changes that are not committed",
    IN_NO_REPOSITORY: "files that are in no repository",
    UNPUSHED: "commits that no other repository has",
    STASHED: "stashed changes",
    UNKNOWN: "git could not be asked",
}


class Keeper:
    """Looks after the folders of ``supervisor``'s sandboxes."""

    def __init__(self, supervisor: Supervisor, *, clock: Callable[[], float] = time.time) -> None:
        self._supervisor, self._clock = supervisor, clock

    @property
    def _home(self) -> Path:
        return self._supervisor.home

    @property
    def _removed(self) -> Path:
        return self._home / REMOVED

    async def describe(self, handle: str) -> dict[str, Any]:
        """Return how much of the disk a sandbox takes, and what would be lost with it.

        Raises:
            UnknownHandle: there is no such folder.
        """
        root = self._existing(handle)
        size = await asyncio.to_thread(disk_usage, root)
        return {
            "handle": handle,
            "state": self._state(handle),
            "bytes": size,
            "unsaved": await unsaved(root),
        }

    async def remove(self, handle: str, *, force: bool) -> float:
        """End the sandbox and put its folder aside; return until when it can be had back.

        Raises:
            UnknownHandle: there is no such folder.
            UnsavedWork: something in it is nowhere else, and ``force`` was not given.
            SandboxBusy: an agent is at work, and ``force`` was not given.
        """
        async with self._supervisor.held(handle):
            root = self._existing(handle)
            if not force and (reasons := await unsaved(root)):
                raise UnsavedWork(reasons=reasons)
            await self._supervisor.end_held(handle, force=force)
            until = self._clock() + KEPT_FOR
            self._removed.mkdir(mode=0o700, exist_ok=True)
            place = self._removed / f"{handle}.{time.time_ns()}"
            root.rename(place)
            # The modification time tells when it was removed, across restarts of the link.
            os.utime(place, (self._clock(), self._clock()))
            own.mend_worktree(place)
        await self.prune()
        return until

    async def forget_journal(self, handle: str) -> None:
        """End the sandbox and remove the journal of its runs; its files stay. Safe to repeat.

        For a sandbox of chats that were deleted: a folder that holds unsaved work is kept, but
        not the words that were said there.

        Raises:
            UnknownHandle: there is no such folder.
            SandboxBusy: an agent is at work.
        """
        async with self._supervisor.held(handle):
            root = self._existing(handle)
            await self._supervisor.end_held(handle, force=False)
            for name in JOURNAL:
                (root / name).unlink(missing_ok=True)

    async def restore(self, handle: str) -> None:
        """Bring back the folder that was removed last. Its process is started when it is needed.

        Raises:
            UnknownHandle: none of that handle was removed within seven days.
            AlreadyThere: a new one of that handle was made since.
        """
        async with self._supervisor.held(handle):
            found = sorted(self._removed.glob(f"{handle}.*"))
            if not found:
                raise UnknownHandle
            if (self._home / handle).exists():
                raise AlreadyThere
            found[-1].rename(self._home / handle)
            own.mend_worktree(self._home / handle)

    async def prune(self) -> None:
        """Remove for good what was removed more than seven days ago."""
        for place in list(self._removed.glob("*.*")):
            if self._clock() - place.stat().st_mtime > KEPT_FOR:
                await asyncio.to_thread(_remove, place)

    async def prune_for_ever(self, *, every: float = PRUNE_EVERY) -> None:
        """Prune now and every hour: a link may run for months."""
        while True:
            try:
                await self.prune()
            except OSError:
                logger.warning(
                    "sandboxes: pruning removed folders failed; retrying in %.0f s",
                    every,
                    exc_info=True,
                )
            await asyncio.sleep(every)

    def _existing(self, handle: str) -> Path:
        root = self._home / handle
        if not (root / "spec.json").is_file():
            raise UnknownHandle
        return root

    def _state(self, handle: str) -> str:
        try:
            self._supervisor.find(handle)
        except (SandboxDown, UnknownHandle):
            return "stopped"
        return "ready"


def disk_usage(root: Path) -> int:
    """Return the bytes that a folder takes on the disk; links are not followed. Blocking."""
    total = 0
    waiting = [os.fspath(root)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue  # gone since, or not for us
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return total


async def unsaved(root: Path) -> list[str]:
    """Return why something would be lost with a sandbox's folder; nothing when it wouldn't."""
    repo = root / "repo"
    if not repo.is_dir() or not any(repo.iterdir()):
        return []
    made = own.load(root)
    if made is None or made.top != repo:
        # A repository that an agent has begun by itself is not looked into.
        return [IN_NO_REPOSITORY if own.is_known(root) or not _has_git(repo) else UNKNOWN]
    try:
        view = await asyncio.to_thread(View.open, made, root, environment(os.environ))
    except (ForeignGit, GitMissing, OSError):
        return [UNKNOWN]
    text = await _git(view, *_STATUS)
    if text is None:
        return [UNKNOWN]
    noted = await asyncio.to_thread(boot_files.load, root)
    changes = parse_status(text).changes
    is_worktree = made.is_worktree_in(root)
    # What the project's own start has made comes again with the next one.
    is_dirty = await asyncio.to_thread(boot_files.without, changes, repo, noted)
    reasons = [DIRTY] if is_dirty else []
    # A worktree's branches and stashes stay in the person's own repository.
    mine = ["HEAD", "--not", "--remotes", "--branches"] if is_worktree else None
    mine = mine or ["HEAD", "--branches", "--not", "--remotes"]
    if (await _git(view, "rev-list", "--count", *mine) or "0") != "0":
        reasons.append(UNPUSHED)
    if not is_worktree and await _git(view, "stash", "list"):
        reasons.append(STASHED)
    return reasons


def _remove(place: Path) -> None:
    """Remove a folder; the person's repository forgets the worktree that was in it. Blocking."""
    made = own.load(place)
    shutil.rmtree(place, ignore_errors=True)
    if made is not None and made.is_worktree_in(place):
        shutil.rmtree(made.git_dir, ignore_errors=True)


def _has_git(repo: Path) -> bool:
    return os.path.lexists(repo / ".git")


async def _git(view: View, *args: str) -> str | None:
    """Return what git says, without its last line feed; ``None`` when it says no, or is slow."""
    try:
        call = view.call(args, environment(os.environ))
        process = await asyncio.create_subprocess_exec(
            *call.argv,
            cwd=call.cwd,
            env=call.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (GitMissing, OSError):
        return None
    try:
        async with asyncio.timeout(GIT_WITHIN):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return out.decode(errors="replace").strip() if process.returncode == 0 else None
