"""The folders of sandboxes on disk: their size, removal and restoration.

A folder is removed only if no work would be lost, or by force; it can be restored for seven days
from ``.removed`` beside the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from links.daemon.errors import AlreadyThere, SandboxDown, UnknownHandle, UnsavedWork
from links.daemon.removed_folders import RemovedFolders, has_work
from links.daemon.sandbox_process import environment
from links.daemon.supervisor import Supervisor
from mesh import boot_files
from mesh.git import own, submodules
from mesh.git.calls import GitMissing
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.git_status import parse_status

logger = logging.getLogger(__name__)

PRUNE_EVERY: Final = 3600.0
GIT_WITHIN: Final = 30.0
# The journal of a sandbox's runs, as SQLite keeps it.
JOURNAL: Final = ("journal.db", "journal.db-wal", "journal.db-shm")

_STATUS: Final = (
    *("status", "--porcelain=v2", "-z"),
    *("--untracked-files=all", "--ignore-submodules=dirty"),
)

DIRTY, IN_NO_REPOSITORY = "uncommitted_changes", "files_in_no_repository"
UNPUSHED, STASHED, UNKNOWN = "unpushed_commits", "stashed_changes", "not_known"
# Why work would be lost, in words for people.
REASONS: Final = {
    DIRTY: "uncommitted changes",
    IN_NO_REPOSITORY: "files outside any repository",
    UNPUSHED: "unpushed commits",
    STASHED: "stashed changes",
    UNKNOWN: "git could not check it",
}


class SandboxFolders:
    """Describes, removes, restores and prunes the folders of ``supervisor``'s sandboxes."""

    def __init__(self, supervisor: Supervisor, *, clock: Callable[[], float] = time.time) -> None:
        self._supervisor = supervisor
        self._removed = RemovedFolders(supervisor.home, clock=clock)

    @property
    def _home(self) -> Path:
        return self._supervisor.home

    async def describe(self, handle: str) -> dict[str, Any]:
        """Return a sandbox's disk usage, and what work would be lost with it.

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
        """Stop the sandbox and move its folder aside; return until when it can be restored.

        Raises:
            UnknownHandle: there is no such folder.
            UnsavedWork: it contains work that exists nowhere else, without ``force``.
            SandboxBusy: an agent is working, without ``force``.
        """
        async with self._supervisor.lock(handle):
            root = self._existing(handle)
            if not force and (reasons := await unsaved(root)):
                raise UnsavedWork(reasons=reasons)
            await self._supervisor.end_locked(handle, force=force)
            until = await asyncio.to_thread(self._removed.put_aside, handle)
        await self.prune()
        return until

    async def forget_journal(self, handle: str) -> None:
        """Stop the sandbox and delete the journal of its runs; its files stay. Safe to repeat.

        For a sandbox of deleted chats: a folder with unsaved work is kept, the conversation in
        it is not.

        Raises:
            UnknownHandle: there is no such folder.
            SandboxBusy: an agent is working.
        """
        async with self._supervisor.lock(handle):
            root = self._existing(handle)
            await self._supervisor.end_locked(handle, force=False)
            for name in JOURNAL:
                (root / name).unlink(missing_ok=True)

    async def restore(self, handle: str) -> None:
        """Restore the folder that was removed last, of several the last one with work.

        Its process is started when it is needed. A newer folder without work is put aside.

        Raises:
            UnknownHandle: no folder of that handle was removed within seven days.
            AlreadyThere: a newer sandbox has that handle, and work in it.
            SandboxBusy: an agent is working in the newer one.
        """
        async with self._supervisor.lock(handle):
            found = await asyncio.to_thread(self._removed.find, handle)
            if found is None:
                raise UnknownHandle
            if await asyncio.to_thread(has_work, self._home / handle):
                raise AlreadyThere
            await self._supervisor.end_locked(handle, force=False)
            await asyncio.to_thread(self._removed.bring_back, handle, is_told=False)

    async def prune(self) -> None:
        """Delete the folders that were removed more than seven days ago."""
        await asyncio.to_thread(self._removed.prune)

    async def prune_periodically(self, *, every: float = PRUNE_EVERY) -> None:
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
    """Return the bytes that a folder takes on disk; symbolic links are not followed. Blocks."""
    total = 0
    waiting = [os.fspath(root)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue  # deleted meanwhile, or not readable
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return total


async def unsaved(root: Path) -> list[str]:
    """Return why work would be lost with a sandbox's folder; empty if none would."""
    repo = root / "repo"
    if not repo.is_dir() or not any(repo.iterdir()):
        return []
    made = own.load(root)
    if made is None or made.top != repo:
        # A repository that an agent created itself is not inspected.
        return [IN_NO_REPOSITORY if own.is_known(root) or not _has_git(repo) else UNKNOWN]
    if made.is_worktree_in(root) and not own.is_listed(made):
        return [UNKNOWN]  # its entry is gone, or is another worktree's by now
    try:
        view = await asyncio.to_thread(View.open, made, root, environment(os.environ))
    except (ForeignGit, GitMissing, OSError):
        return [UNKNOWN]
    output = await _git(view, *_STATUS, "--branch")
    if output is None:
        return [UNKNOWN]
    noted = await asyncio.to_thread(boot_files.load, root)
    found = parse_status(output)
    is_worktree = made.is_worktree_in(root)
    # Files that the project's setup created are created again by the next one.
    is_dirty = await asyncio.to_thread(boot_files.without, found.changes, repo, noted)
    reasons = [DIRTY] if is_dirty else []
    # A worktree's branches and stashes stay in the person's own repository.
    mine = ["HEAD"] if found.head else []
    kept = ["--remotes", "--branches"] if is_worktree else ["--remotes"]
    if not is_worktree:
        mine.append("--branches")
    # A file may have the name of a commit: what follows the dashes are files.
    listed = ("rev-list", "--count", *mine, "--not", *kept, "--")
    count = await _git(view, *listed) if mine else b"0"
    stashes = b"" if is_worktree else await _git(view, "stash", "list")
    if count is None or stashes is None:
        return [*reasons, UNKNOWN]
    if int(count):
        reasons.append(UNPUSHED)
    if stashes:
        reasons.append(STASHED)
    return reasons + await _unsaved_in_submodules(view, root, known=reasons)


async def _unsaved_in_submodules(view: View, root: Path, *, known: list[str]) -> list[str]:
    """Return the reasons, other than those ``known``, that the submodules give."""
    record = submodules.load(root)
    modules = submodules.modules_in(await _git(view, *submodules.LISTED) or b"")
    filled = record.filled if record else ()
    # Git's own place for submodules: Mesh puts none there.
    is_foreign = submodules.is_filled(view.own.git_dir / "modules")
    is_foreign |= bool(submodules.unknown_in(list(modules), record, view.own.top))
    found = {UNKNOWN} if is_foreign else set()
    for each in filled:
        if not submodules.is_filled(view.own.top / each.path):
            continue
        try:
            inner = await asyncio.to_thread(
                submodules.view_of, each, view.own.top, root, environment(os.environ)
            )
        except (ForeignGit, GitMissing, OSError):
            found.add(UNKNOWN)
            continue
        found.update(await _unsaved_in(inner, each.commit))
    return [reason for reason in REASONS if reason in found and reason not in known]


async def _unsaved_in(view: View, commit: str) -> list[str]:
    """Return why work would be lost with a submodule that was filled with ``commit``."""
    changes = await _git(view, *_STATUS)
    mine = ["HEAD", "--branches", "--not", "--remotes", commit, "--"]
    count = await _git(view, "rev-list", "--count", *mine)
    if changes is None or count is None:
        return [UNKNOWN]
    stashes = await _git(view, "stash", "list")
    reasons = {DIRTY: changes, UNPUSHED: count.strip() != b"0", STASHED: stashes}
    return [reason for reason, is_so in reasons.items() if is_so]


def _has_git(repo: Path) -> bool:
    return os.path.lexists(repo / ".git")


async def _git(view: View, *args: str) -> bytes | None:
    """Return git's output as it is; ``None`` if it fails or takes too long."""
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
    return out if process.returncode == 0 else None
