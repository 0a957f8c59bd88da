"""Publishes changed files while there are readers, no matter which program changed them.

The system reports changes (inotify, FSEvents): nothing is read while nothing happens. Only the
folders that git does not ignore are watched, each separately, so that ``node_modules`` costs
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mesh.background import run_in_background
from mesh.git import own
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import quote
from sandboxes.daemon.files.tools import OURS
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.files.walking import is_excluded
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.working_folder import Workplace

logger = logging.getLogger(__name__)

MOST_FOLDERS = 2000  # all programs of a person share the system's limit
MOST_PUBLISHED = 500  # files at once; a switch between branches is published as such
QUIET_MS, STEP_MS = 300, 100  # changes this close together are published together
CHECK_EVERY = 5.0  # seconds between two checks for readers
_LISTED = (
    *("ls-files", "-z", "--cached", "--others"),
    *("--exclude-standard", "--deduplicate"),
)
OF_GIT = (
    "HEAD",
    "index",
    "MERGE_HEAD",
    "ORIG_HEAD",
)  # files that change with the branch or a commit


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """The folders to watch: those of the work, and git's own."""

    tree: Tree
    folders: tuple[Path, ...]
    git: Path | None


class Watch:
    """Watches while there are readers; ``on_file`` gets paths in the form that the tools accept."""

    def __init__(
        self,
        workplace: Workplace,
        root: Path,
        *,
        has_readers: Callable[[], bool],
        on_file: Callable[[str], None],
        on_git: Callable[[], None],
    ) -> None:
        self._workplace, self._root, self._has_readers = workplace, root, has_readers
        self._on_file, self._on_git = on_file, on_git
        self._watching: asyncio.Task[None] | None = None
        self._published: dict[str, int] = {}  # path of a change that a tool published → its time
        self._base: Path | None = None
        self._odd: dict[str, int] = {}  # file whose name is not UTF-8 → when it was changed

    def begin(self) -> None:
        """Watch while there are readers. Safe to repeat."""
        if self._watching is None or self._watching.done():
            self._watching = run_in_background(self._watch(), what="watching the working folder")

    def stop(self) -> None:
        """Stop watching. Safe to repeat."""
        if self._watching is not None:
            self._watching.cancel()

    def note_published(self, path: str) -> None:
        """Record that a tool changed a file and that the change is already published."""
        if self._base is not None:
            full = os.path.normpath(self._base / path)
            self._published[full] = _changed_at(full)

    async def _watch(self) -> None:
        seen: set[Path] = set()
        while self._has_readers():
            try:
                tree = await self._workplace.tree()
                plan = await asyncio.to_thread(survey, tree, self._root)
                self._base = tree.base
                await self._publish_new(plan, seen)
                if not seen:
                    self._odd = await asyncio.to_thread(_odd_files_in, plan.folders)
                seen = set(plan.folders)
                with _opened(tree.top) as top:
                    await self._follow(plan, top)
            except (AppError, OSError) as exc:
                # A folder has disappeared, or the system's limit of watches is reached.
                logger.info(
                    "watching the working folder failed, retrying in %.0f s: %s", CHECK_EVERY, exc
                )
                seen = set()
                await asyncio.sleep(CHECK_EVERY)
        self._base = None
        self._published.clear()

    async def _follow(self, plan: WatchPlan, top: int) -> None:
        """Publish changes until a new folder appears or there are no readers.

        Or until the top, open as ``top``, was deleted and made again: the system would go on
        watching the old one. ``watchfiles`` fails at a name that is not UTF-8; such files are
        compared instead.
        """
        try:
            await self._follow_names(plan, top)
        except ExceptionGroup as group:
            reason = str(group.exceptions[0])
            if "decode path" not in reason:
                raise OSError(reason) from group
            files = await asyncio.to_thread(_odd_files_in, plan.folders)
            changed = {path for path in files | self._odd if files.get(path) != self._odd.get(path)}
            self._odd = files
            self._on_git()  # it may have changed together with these
            await self._publish(plan.tree, changed)
            await asyncio.sleep(QUIET_MS / 1000)

    async def _follow_names(self, plan: WatchPlan, top: int) -> None:
        from watchfiles import Change, awatch

        folders = [*plan.folders, *([plan.git] if plan.git else [])]
        async for changes in awatch(
            *folders,
            watch_filter=None,
            recursive=False,
            debounce=QUIET_MS,
            step=STEP_MS,
            rust_timeout=int(CHECK_EVERY * 1000),
            yield_on_timeout=True,
        ):
            if not self._has_readers() or _is_another(plan.tree.top, top):
                return
            of_git = {path for _, path in changes if _is_in(path, plan.git)}
            if any(Path(path).name in OF_GIT for path in of_git):
                self._on_git()
            added = {path for change, path in changes if change is Change.added} - of_git
            await self._publish(plan.tree, {path for _, path in changes} - of_git, added)
            if any(map(_is_new_folder, added)):
                return

    async def _publish_new(self, plan: WatchPlan, seen: set[Path]) -> None:
        """Publish the files in folders that appeared while they were not watched."""
        if seen:
            new = [folder for folder in plan.folders if folder not in seen]
            await self._publish(plan.tree, await asyncio.to_thread(_files_in, new))

    async def _publish(
        self, tree: Tree, paths: Iterable[str], added: Container[str] = frozenset()
    ) -> None:
        chosen = sorted(paths)[:MOST_PUBLISHED]
        files = await asyncio.to_thread(self._worth_publishing, tree, chosen, added)
        for path in files:
            self._on_file(_as_tools_take(path, tree.base))

    def _worth_publishing(self, tree: Tree, paths: list[str], added: Container[str]) -> list[str]:
        # A file that appeared and is already gone does not count: a draft that was renamed.
        paths = [path for path in paths if path not in added or os.path.lexists(path)]
        files = [path for path in paths if not (_is_folder(path) or _is_draft(path))]
        files = [path for path in files if self._published.pop(path, None) != _changed_at(path)]
        if not files:
            return []
        view = _view(tree, self._root)
        ignored = _ignored(view, files) if view else frozenset()
        return [path for path in files if path not in ignored]


def survey(tree: Tree, root: Path) -> WatchPlan:
    """Return the folders to watch in a working folder. Blocking."""
    view = _view(tree, root)
    try:
        folders = _folders_of(view, tree.top) if view else None
    except GitFailed:
        folders = None
    if folders is None:
        folders = set(islice(_walked(tree.top), MOST_FOLDERS))  # it may be a person's whole home
    existing = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
    existing.sort(key=lambda folder: (len(folder.parts), folder))
    return WatchPlan(tree, tuple(existing[:MOST_FOLDERS]), view.own.git_dir if view else None)


def _folders_of(view: View, top: Path) -> set[Path]:
    """Return the folders with files of the work.

    Raises:
        GitFailed: git can't list them.
    """
    folders = {top}
    names = {os.path.dirname(path) for path in Git().names(view, *_LISTED)}
    for folder in map(Path, names):
        folders.update(top / each for each in (folder, *folder.parents) if not _is_excluded(each))
    return folders


def _ignored(view: View, files: list[str]) -> frozenset[str]:
    """Return those of the files that git ignores."""
    asked = b"".join(os.fsencode(path) + b"\0" for path in files)
    try:
        return frozenset(Git().names(view, "check-ignore", "-z", "--stdin", given=asked))
    except GitFailed:
        return frozenset()  # git fails too when it ignores none of them


def _view(tree: Tree, root: Path) -> View | None:
    """Return the repository of the working folder, if there is one that Mesh made."""
    made = own.load(root)
    if made is None or made.top.resolve() != tree.top:
        return None
    try:
        return view_of(made, root)
    except ForeignGit:
        return None  # the routes report this


def _walked(top: Path) -> Iterable[Path]:
    for where, folders, _ in os.walk(top):
        folders[:] = [name for name in folders if not is_excluded(name)]
        yield Path(where)


def _is_excluded(folder: Path) -> bool:
    return any(map(is_excluded, folder.parts))


def _files_in(folders: Iterable[Path]) -> list[str]:
    return [entry.path for folder in folders for entry in os.scandir(folder) if entry.is_file()]


def _odd_files_in(folders: Iterable[Path]) -> dict[str, int]:
    """Return the files whose names are not UTF-8, and when each was changed."""
    entries = (os.path.join(folder, name) for folder in folders for name in _names_in(folder))
    return {path: _changed_at(path) for path in entries if quote(path) != path}


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # it is gone


def _as_tools_take(path: str, base: Path) -> str:
    full = Path(path)
    return str(full.relative_to(base)) if full.is_relative_to(base) else path


def _is_in(path: str, folder: Path | None) -> bool:
    return folder is not None and Path(path).is_relative_to(folder)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a folder, whose inode no other one gets meanwhile."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _is_another(folder: Path, handle: int) -> bool:
    """Return whether the path leads to another folder than the open one; not if it is gone."""
    try:
        return not os.path.samestat(folder.stat(), os.fstat(handle))
    except OSError:
        return False


def _is_draft(path: str) -> bool:
    return os.path.basename(path).startswith(OURS)


def _is_new_folder(path: str) -> bool:
    return _is_folder(path) and not is_excluded(Path(path).name)


def _changed_at(path: str) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0
