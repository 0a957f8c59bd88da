"""Discards changes at a person's request; keeps everything that was discarded. Blocking.

The folder that keeps it has these parts, each only if it is needed:

- ``changes.patch``: how the files of the last commit were changed, for ``git apply``;
- ``staged.patch``: what was staged of files that were changed again afterwards;
- ``changed/``: the changed files as they were on the disk. A patch has their contents as git
  stores them, which can differ: in the ends of lines, or by a filter;
- ``new/``: the files that the last commit does not have.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mesh.git.view import View
from mesh.lib.errors import AppError
from mesh.lib.git_status import Change, Records
from mesh.lib.quoted_names import quote
from mesh.plain_files import new_plain
from sandboxes.daemon.files.errors import PathOutside
from sandboxes.daemon.files.tree import Tree, path_of
from sandboxes.daemon.git import PLAIN, Git, GitFailed
from sandboxes.daemon.repository.errors import CopyNotKept, InTheWay, UnderWay
from sandboxes.daemon.repository.rebase import is_under_way

PATCH, STAGED, CHANGED, NEW = "changes.patch", "staged.patch", "changed", "new"
BATCH = 64 * 1024  # bytes of names in one command line
_DIFF = ("diff", "--binary", *PLAIN)
_SUBMODULE = b"160000"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with which paths."""

    patched: list[str]  # in the last commit
    staged: list[str]  # and changed since
    moves: dict[str, str]  # path of a file → its part of the folder that keeps it
    committed: dict[str, bytes] = field(default_factory=dict)  # path → “mode hash”
    indexed: list[bytes] = field(default_factory=list)  # “mode hash stage TAB path”

    @property
    def links(self) -> set[str]:
        """The nested repositories that are staged as links."""
        entries = map(_without_stage, self.indexed)
        return {os.fsdecode(path) for mode, _, path in entries if mode == _SUBMODULE}

    @property
    def restored(self) -> list[str]:
        """The files to write; a submodule's folder is left as it is."""
        return [path for path, entry in self.committed.items() if not _is_submodule(entry)]


class Discard:
    """Discards changes of one repository; ``kept`` is the folder for the folders that keep them."""

    def __init__(self, git: Git, view: View, tree: Tree, kept: Path) -> None:
        self._git, self._view, self._tree, self._kept = git, view, tree, kept

    def run(self, changes: Sequence[Change], *, has_commit: bool) -> str:
        """Undo changes: all, or none. Return the name of the folder that keeps them, if any.

        Raises:
            UnderWay: a merge or a rebase is in progress.
            InTheWay: a file that is not to be discarded is in the place of one to be restored.
            CopyNotKept: they can't be kept.
            GitFailed: git can't restore the files.
        """
        if not changes:
            return ""
        if is_under_way(self._view) and not all(change.is_new for change in changes):
            raise UnderWay
        plan = self._plan(changes, has_commit=has_commit)
        self._check_places(plan, {change.path for change in changes})
        place = self._kept / str(time.time_ns())
        moved: list[tuple[str, Path]] = []
        try:
            self._keep(plan, place, moved)
        except (OSError, AppError) as exc:
            self._move_back(moved)
            shutil.rmtree(place, ignore_errors=True)
            raise CopyNotKept(f"{CopyNotKept.text} ({_reason(exc)})") from exc
        try:
            self._restore(plan)
        except GitFailed:
            self._undo(plan, moved)
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._remove_emptied(plan)
        return place.name

    # Reading

    def _plan(self, changes: Sequence[Change], *, has_commit: bool) -> _Plan:
        paths = {change.path for change in changes}
        tracked = {change.path for change in changes if not change.is_new}
        untracked = {change.path for change in changes if change.is_new}
        committed = self._entries("ls-tree", "-rz", "HEAD", of=paths) if has_commit else []
        by_path = {os.fsdecode(path): _mode_and_hash(entry) for entry, path in committed}
        plan = _Plan(
            patched=sorted(tracked & by_path.keys()),
            staged=sorted({change.path for change in changes if _is_staged_and_changed(change)}),
            moves={},
            committed=by_path,
            indexed=[
                entry + b"\t" + path
                for entry, path in self._entries("ls-files", "-z", "--stage", of=paths)
            ],
        )
        for path in sorted(paths):
            if self._is_to_move(path, plan):
                is_new = path in untracked or path not in by_path
                plan.moves[path] = NEW if is_new else CHANGED
        return plan

    def _entries(self, *args: str, of: set[str]) -> list[tuple[bytes, bytes]]:
        """Return the entries of a listing for some paths: what is before the tab, and the path."""
        wanted = {os.fsencode(path) for path in of}
        found: list[tuple[bytes, bytes]] = []
        records = Records()

        def take(piece: bytes) -> bool:
            for record in records.feed(piece):
                entry, _, path = record.partition(b"\t")
                if path in wanted:
                    found.append((entry, path))
            return True

        self._git.stream(self._view, *args, take=take)
        return found

    def _is_to_move(self, path: str, plan: _Plan) -> bool:
        facts = self._facts(path)
        if facts is None or _is_submodule(plan.committed.get(path, b"")):
            return False
        # A folder in the place of a file: what is in it is discarded by its own names.
        return not stat.S_ISDIR(facts.st_mode) or path.endswith("/") or path in plan.links

    def _facts(self, path: str) -> os.stat_result | None:
        """Return the stat of what is at ``path``; ``None`` if there is nothing.

        What a link in the place of a folder leads to is another file.
        """
        try:
            for parent in _parents(path):
                if not stat.S_ISDIR(os.lstat(self._tree.top / parent).st_mode):
                    return None
            return os.lstat(self._tree.top / path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _check_places(self, plan: _Plan, chosen: set[str]) -> None:
        """Raise unless each committed file can be written without losing another one.

        git would remove a file that is in the place of a folder, and a folder with all its files
        that is in the place of a file, without a word.
        """
        for path in plan.restored:
            for other in self._in_place_of(path):
                if not chosen.intersection((other, *_folders_above(other))):
                    raise InTheWay(
                        f"“{quote(other)}” is in the place of “{quote(path)}”,"
                        " so nothing was discarded.",
                        path=quote(other),
                    )

    def _in_place_of(self, path: str) -> Iterator[str]:
        for parent in _parents(path):
            facts = self._facts(parent)
            if facts is None:
                return
            if not stat.S_ISDIR(facts.st_mode):
                yield parent
                return
        facts = self._facts(path)
        if facts is not None and stat.S_ISDIR(facts.st_mode):
            for folder, folders, files in os.walk(self._tree.top / path):
                links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
                for name in (*files, *links):
                    yield os.path.relpath(os.path.join(folder, name), self._tree.top)

    # Keeping

    def _keep(self, plan: _Plan, place: Path, moved: list[tuple[str, Path]]) -> None:
        """Write the patches to the disk, then move the files; ``moved`` gets what was moved."""
        place.mkdir(parents=True, mode=0o700)
        self._save(place / PATCH, (*_DIFF, "HEAD"), plan.patched)
        self._save(place / STAGED, (*_DIFF, "--cached"), plan.staged)
        for path, part in plan.moves.items():
            target = place / part / path
            move_away(self._tree, path, target)
            moved.append((path, target))
        _sync_folder(place)

    def _save(self, file: Path, command: tuple[str, ...], paths: list[str]) -> None:
        if not paths:
            return
        with os.fdopen(new_plain(file), "wb") as patch:
            for some in _in_batches(paths):
                self._git.save(self._view, *command, "--", *map(_literal, some), file=patch)
            is_empty = os.fstat(patch.fileno()).st_size == 0
            os.fsync(patch.fileno())
        if is_empty:
            file.unlink()  # “git apply” refuses an empty one

    # Restoring

    def _restore(self, plan: _Plan) -> None:
        """Make the index and the files of these paths what they are in the last commit."""
        gone = [_without_stage(entry) for entry in plan.indexed]
        entries = [
            b"0 %s\t%s" % (b"0" * len(hash_), path)
            for _, hash_, path in gone
            if os.fsdecode(path) not in plan.committed
        ]
        entries += [entry + b"\t" + os.fsencode(path) for path, entry in plan.committed.items()]
        if entries:
            self._set_index(entries)
        if plan.restored:
            given = b"".join(os.fsencode(path) + b"\0" for path in plan.restored)
            files = ("checkout-index", "--force", "--index", "--quiet", "-z", "--stdin")
            self._git.run(self._view, *files, given=given)

    def _remove_emptied(self, plan: _Plan) -> None:
        """Remove the folders of which the last file was moved away."""
        folders = {parent for path in plan.moves for parent in _parents(path)}
        for folder in sorted(folders, key=len, reverse=True):
            with (
                suppress(OSError, AppError),  # it is not empty, or gone
                self._tree.at(str(self._tree.top / folder), follow=False) as spot,
            ):
                os.rmdir(spot.name, dir_fd=spot.folder)

    def _undo(self, plan: _Plan, moved: list[tuple[str, Path]]) -> None:
        """Return the index and the files to what they were before ``_restore``."""
        sizes = (len(entry.split(b" ")[1]) for entry in plan.committed.values())
        nothing = b"0 " + b"0" * next(sizes, 40) + b"\t"
        gone = [nothing + os.fsencode(path) for path in plan.committed]
        for path in plan.restored:
            facts = self._facts(path)
            if path not in plan.moves and facts is not None and not stat.S_ISDIR(facts.st_mode):
                (self._tree.top / path).unlink(missing_ok=True)
        self._move_back(moved)
        self._set_index([*gone, *plan.indexed])

    def _set_index(self, entries: list[bytes]) -> None:
        given = b"".join(entry + b"\0" for entry in entries)
        self._git.run(self._view, "update-index", "-z", "--index-info", given=given)

    def _move_back(self, moved: list[tuple[str, Path]]) -> None:
        for path, target in moved:
            with self._tree.at(str(self._tree.top / path), follow=False, make_parents=True) as spot:
                _move(target, path_of(spot.folder) / spot.name)


def move_away(tree: Tree, path: str, target: Path) -> None:
    """Move the file or folder at ``path`` in ``tree`` to ``target``, whose folder is made.

    Raises:
        PathOutside: a link leads elsewhere; also everything that ``Tree.at`` raises.
        OSError: it can't be moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tree.at(str(tree.top / path), follow=False) as spot:
        if not spot.name or spot.path != path.rstrip("/"):
            raise PathOutside("The path leads through a link.")
        # From the open folder: another one may have its name by now.
        _move(path_of(spot.folder) / spot.name, target)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        shutil.move(source, target)  # to another disk: copied first, then removed


def _is_staged_and_changed(change: Change) -> bool:
    return not change.is_new and "." not in change.status


def _is_submodule(entry: bytes) -> bool:
    return entry.startswith(_SUBMODULE)


def _mode_and_hash(entry: bytes) -> bytes:
    """Return “mode hash” of an entry of ls-tree: “mode type hash”."""
    mode, _, hash_ = entry.split(b" ")
    return mode + b" " + hash_


def _without_stage(entry: bytes) -> tuple[bytes, bytes, bytes]:
    """Return mode, hash and path of an entry of ls-files: “mode hash stage TAB path”."""
    facts, _, path = entry.partition(b"\t")
    mode, hash_, _ = facts.split(b" ")
    return mode, hash_, path


def _parents(path: str) -> list[str]:
    """Return the folders that ``path`` is in, from the top down."""
    return [str(parent) for parent in Path(path).parents][-2::-1]


def _folders_above(path: str) -> list[str]:
    """Return the folders that ``path`` is in, as a status lists repositories of their own."""
    return [f"{parent}/" for parent in Path(path).parents]


def _literal(path: str) -> str:
    """Return a pathspec that git takes literally."""
    return f":(literal){path}"


def _in_batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paths in groups that are short enough for a command line."""
    batch: list[str] = []
    size = 0
    for path in paths:
        length = len(os.fsencode(path))
        if batch and size + length > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(exc: BaseException) -> str:
    return exc.strerror or "I/O error" if isinstance(exc, OSError) else str(exc)
