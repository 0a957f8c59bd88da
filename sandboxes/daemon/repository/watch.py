"""Hears of changed files while somebody looks on, whoever has changed them.

The system tells of changes (inotify, FSEvents): nothing is read while nothing happens. Only the
folders that git does not ignore are watched, each by itself, so that ``node_modules`` costs
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mesh.background import run_in_background
from mesh.git import own
from mesh.git.own import ForeignGit
from mesh.git.view import View
from mesh.lib.errors import AppError
from sandboxes.daemon.files.tools import OURS
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.files.walking import is_excluded
from sandboxes.daemon.git import Git, view_of
from sandboxes.daemon.working_folder import Workplace

logger = logging.getLogger(__name__)

MOST_FOLDERS = 2000  # the system's limit is shared by all programs of a person
MOST_TOLD = 500  # files at once; who switches a big branch is told of the branch
QUIET_MS, STEP_MS = 300, 100  # changes that come so close together are told at once
LOOK_EVERY = 5.0  # seconds between two looks whether anybody looks on
_LISTED = (
    *("ls-files", "-z", "--cached", "--others"),
    *("--exclude-standard", "--deduplicate"),
)
OF_GIT = ("HEAD", "index", "MERGE_HEAD", "ORIG_HEAD")  # what changes with branch and commit


@dataclass(frozen=True, slots=True)
class Scene:
    """What is watched: the folders of the work, and git's own."""

    tree: Tree
    folders: tuple[Path, ...]
    git: Path | None


class Watch:
    """Watches from the first reader to the last; ``on_file`` gets paths as the tools take them."""

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
        self._known: dict[str, int] = {}  # what a tool has changed, and told: when that was
        self._base: Path | None = None

    def begin(self) -> None:
        """Watch while somebody looks on. Safe to repeat."""
        if self._watching is None or self._watching.done():
            self._watching = run_in_background(self._watch(), what="watching the working folder")

    def stop(self) -> None:
        """Watch no more. Safe to repeat."""
        if self._watching is not None:
            self._watching.cancel()

    def knows(self, path: str) -> None:
        """Take in that a tool has changed a file, and that it is told already."""
        if self._base is not None:
            full = os.path.normpath(self._base / path)
            self._known[full] = _changed_at(full)

    async def _watch(self) -> None:
        seen: set[Path] = set()
        while self._has_readers():
            try:
                tree = await self._workplace.tree()
                scene = await asyncio.to_thread(survey, tree, self._root)
                self._base = tree.base
                await self._tell_new(scene, seen)
                seen = set(scene.folders)
                await self._follow(scene)
            except (AppError, OSError) as exc:
                # A folder is gone again, or the system watches no more of them: later, then.
                logger.info("The working folder is not watched: %s", exc)
                seen = set()
                await asyncio.sleep(LOOK_EVERY)
        self._base = None
        self._known.clear()

    async def _follow(self, scene: Scene) -> None:
        """Tell of changes until there is a folder that is not watched, or nobody looks on."""
        from watchfiles import Change, awatch

        places = [*scene.folders, *([scene.git] if scene.git else [])]
        async for changes in awatch(
            *places,
            watch_filter=None,
            recursive=False,
            debounce=QUIET_MS,
            step=STEP_MS,
            rust_timeout=int(LOOK_EVERY * 1000),
            yield_on_timeout=True,
        ):
            if not self._has_readers():
                return
            of_git = {path for _, path in changes if _is_in(path, scene.git)}
            if any(Path(path).name in OF_GIT for path in of_git):
                self._on_git()
            added = {path for change, path in changes if change is Change.added} - of_git
            await self._tell(scene.tree, {path for _, path in changes} - of_git, added)
            if any(map(_is_new_folder, added)):
                return

    async def _tell_new(self, scene: Scene, seen: set[Path]) -> None:
        """Tell what lies in folders that came while nobody watched them."""
        if seen:
            new = [folder for folder in scene.folders if folder not in seen]
            await self._tell(scene.tree, await asyncio.to_thread(_files_in, new))

    async def _tell(
        self, tree: Tree, paths: Iterable[str], added: Container[str] = frozenset()
    ) -> None:
        chosen = sorted(paths)[:MOST_TOLD]
        told = await asyncio.to_thread(self._worth_telling, tree, chosen, added)
        for path in told:
            self._on_file(_as_tools_take(path, tree.base))

    def _worth_telling(self, tree: Tree, paths: list[str], added: Container[str]) -> list[str]:
        # What came and is gone already was never there for others: a draft that was renamed.
        paths = [path for path in paths if path not in added or os.path.lexists(path)]
        files = [path for path in paths if not (_is_folder(path) or _is_draft(path))]
        files = [path for path in files if self._known.pop(path, None) != _changed_at(path)]
        if not files:
            return []
        view = _view(tree, self._root)
        asked = "".join(f"{path}\0" for path in files)
        ignored = Git().ask(view, "check-ignore", "-z", "--stdin", text=asked) if view else ""
        left_out = set((ignored or "").split("\0"))
        return [path for path in files if path not in left_out]


def survey(tree: Tree, root: Path) -> Scene:
    """Return what is to be watched in a working folder. Blocking."""
    view = _view(tree, root)
    listed = Git().ask(view, *_LISTED) if view else None
    if listed is None:
        folders = set(islice(_walked(tree.top), MOST_FOLDERS))  # it may be somebody's whole home
    else:
        folders = {tree.top}
        for path in filter(None, listed.split("\0")):
            folders.update(
                tree.top / parent for parent in Path(path).parents if not _is_excluded(parent)
            )
    there = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
    there.sort(key=lambda folder: (len(folder.parts), folder))
    return Scene(tree, tuple(there[:MOST_FOLDERS]), view.own.git_dir if view else None)


def _view(tree: Tree, root: Path) -> View | None:
    """Return the repository of the working folder, where there is one to look into."""
    made = own.load(root)
    if made is None or made.top.resolve() != tree.top:
        return None
    try:
        return view_of(made, root)
    except ForeignGit:
        return None  # the routes say so


def _walked(top: Path) -> Iterable[Path]:
    for where, folders, _ in os.walk(top):
        folders[:] = [name for name in folders if not is_excluded(name)]
        yield Path(where)


def _is_excluded(folder: Path) -> bool:
    return any(map(is_excluded, folder.parts))


def _files_in(folders: Iterable[Path]) -> list[str]:
    return [entry.path for folder in folders for entry in os.scandir(folder) if entry.is_file()]


def _as_tools_take(path: str, base: Path) -> str:
    full = Path(path)
    return str(full.relative_to(base)) if full.is_relative_to(base) else path


def _is_in(path: str, folder: Path | None) -> bool:
    return folder is not None and Path(path).is_relative_to(folder)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _is_draft(path: str) -> bool:
    return os.path.basename(path).startswith(OURS)


def _is_new_folder(path: str) -> bool:
    return _is_folder(path) and not is_excluded(Path(path).name)


def _changed_at(path: str) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0
