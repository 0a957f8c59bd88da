"""What a person does with the files of the working folder: look, save, delete. Blocking.

Unlike the agents' tools (``tools``), a save names the version that it was made from, and what is
deleted can be restored.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mesh.lib.errors import AppError
from mesh.lib.git_names import is_git_name
from mesh.lib.quoted_names import quote, unquote
from sandboxes.daemon.files import rewriting
from sandboxes.daemon.files.encodings import PROBE_BYTES, NotText, read_text
from sandboxes.daemon.files.errors import (
    AlreadyExists,
    BadPath,
    BinaryFile,
    ChangedMeanwhile,
    FileTooLarge,
    IsADirectory,
    NoSuchFile,
)
from sandboxes.daemon.files.tools import (
    IMAGE_LIMIT,
    MIB,
    TEXT_LIMIT,
    Answer,
    check_characters,
    facts_of,
    image_kind,
    image_of,
    replace_file,
    rest_of,
)
from sandboxes.daemon.files.tree import Spot, Tree, check_file, path_of
from sandboxes.daemon.files.walking import EXCLUDED, walk

MOST_ENTRIES: Final = 10_000  # of one folder
SHOWN_LIMIT: Final = 2 * MIB  # characters of a text that is shown; a longer one is shown in part
HEAD: Final = 256 * 1024  # bytes shown of a file that is too long to be read as text
FOUND_LIMIT: Final = 500  # names of one search
WALK_LIMIT: Final = 500_000  # files looked at by one search of names
UPLOAD_LIMIT: Final = 20 * MIB
TRASH: Final = "trash"  # folder of the sandbox with what was deleted
KEPT_FOR: Final = 7 * 24 * 3600.0  # seconds
KEPT_MOST: Final = 200  # deletions
PIECE: Final = 256 * 1024  # bytes of a download at a time


class NothingDeleted(AppError):
    code = "nothing_to_restore"
    text = "There is nothing to restore: it was restored already, or is gone after seven days."
    hint = "Look into the repository's history."
    status = 404


class NotKept(AppError):
    code = "copy_not_kept"
    text = "It can't be kept for an undo, so it was not deleted."
    hint = "Free space on that machine, then try again."
    status = 507


class Browser:
    """Over one tree; ``changing`` is the lock of the agents' tools, ``root`` the sandbox's own
    folder."""

    def __init__(self, tree: Tree, changing: threading.Lock, root: Path) -> None:
        self._tree, self._changing, self._trash = tree, changing, root / TRASH

    def list_folder(self, path: str) -> Answer:
        """Return the entries of one folder, folders first, without those of git.

        ``folder`` is the working folder's absolute path, ``base`` its path below the top of its
        repository: git's paths begin with it.

        Raises:
            NoSuchFile, NotADirectory, PathOutside, …: as ``Tree.open_folder``.
        """
        base = self._tree.base.relative_to(self._tree.top).as_posix()
        with self._tree.open_folder(path) as (folder, _), os.scandir(folder) as found:
            named = [each for each in found if not is_git_name(each.name)]
            entries = [self._entry(each, path) for each in named]
        entries.sort(key=lambda entry: (entry["kind"] != "folder", entry["name"].lower()))
        return {
            "path": quote(path),
            "folder": quote(str(self._tree.base)),
            "base": "" if base == "." else quote(base),
            "entries": entries[:MOST_ENTRIES],
            "leftOut": max(0, len(entries) - MOST_ENTRIES),
        }

    def _entry(self, each: os.DirEntry[str], path: str) -> Answer:
        whole = f"{path.rstrip('/')}/{each.name}" if path.strip("/") else each.name
        entry: Answer = {"name": quote(each.name), "path": quote(whole), "kind": "other"}
        with suppress(OSError):  # it is gone again
            facts = each.stat(follow_symlinks=False)
            entry["kind"] = _kind_of(facts)
            entry["modifiedAt"] = int(facts.st_mtime * 1000)
            if stat.S_ISREG(facts.st_mode):
                entry["size"] = facts.st_size
        if entry["kind"] == "link":
            entry["to"] = self._kind_behind(whole)
        return entry

    def _kind_behind(self, path: str) -> str:
        """Return the kind of what a link leads to; ``none`` if that is outside, or nothing."""
        try:
            with self._tree.at(path) as spot:
                return _kind_of(spot.facts())
        except (AppError, OSError):
            return "none"

    def show(self, path: str) -> Answer:
        """Return a file as a page shows it: a text, a picture, or what else it is.

        ``version`` names exactly these bytes. ``isWhole`` says whether ``content`` is all of it;
        only then can it be saved.

        Raises:
            NoSuchFile, IsADirectory, NotAFile, PathOutside, …: as ``Tree.open_file``.
        """
        with self._tree.open_file(path) as (file, _):
            facts = os.fstat(file)
            size = facts.st_size
            shown: Answer = {"path": quote(path), "size": size}
            shown["modifiedAt"] = int(facts.st_mtime * 1000)
            shown["mayWrite"] = bool(facts.st_mode & 0o222)
            head = os.read(file, PROBE_BYTES)
            if kind := image_kind(head):
                if size > IMAGE_LIMIT:
                    return shown | {"kind": "binary", "isTooLarge": True}
                return shown | image_of(kind, head + rest_of(file, IMAGE_LIMIT))
            if size > TEXT_LIMIT:
                return shown | self._head(file, head)
            raw = head + rest_of(file, TEXT_LIMIT)
        try:
            text = read_text(raw)
        except NotText:
            return shown | {"kind": "binary", "version": _version(raw)}
        content = text.shown
        return (
            shown
            | {"kind": "text", "version": _version(raw), "isWhole": len(content) <= SHOWN_LIMIT}
            | {"content": content[:SHOWN_LIMIT]}
            | facts_of(text)
        )

    def _head(self, file: int, head: bytes) -> Answer:
        """Return the first lines of a text that is too long to be read whole."""
        if b"\x00" in head:
            return {"kind": "binary"}
        begun = (head + os.read(file, HEAD))[:HEAD]
        lines = begun[: begun.rfind(b"\n") + 1] or begun
        return {"kind": "text", "isWhole": False, "content": lines.decode(errors="replace")}

    def pieces(self, path: str) -> tuple[int, Iterator[bytes]]:
        """Return a file's size and its bytes, for a download. The caller must use the iterator up,
        or close it.

        Raises:
            NoSuchFile, IsADirectory, …: as ``Tree.open_file``.
        """
        with self._tree.open_file(path) as (opened, _):
            file = os.dup(opened)
        return os.fstat(file).st_size, _pieces(file, os.fstat(file).st_size)

    def save(self, path: str, content: str, version: str) -> Answer:
        """Write a text that was made from ``version`` of the file; from nothing for a new file.

        Raises:
            ChangedMeanwhile: the file is not of that version any more.
            AlreadyExists: there is one, and no version was named.
            NoSuchFile: there is none any more.
            NotInEncoding: ``content`` has characters that the file's encoding doesn't.
        """
        check_characters("content", content)
        if not version:
            return self._create(path, content.encode())
        with self._changing, self._tree.at(path) as spot:
            raw, facts = _raw(spot)
            if _version(raw) != version:
                raise ChangedMeanwhile
            try:
                before = read_text(raw)
            except NotText as exc:
                raise BinaryFile from exc
            data, told = rewriting.rewritten(before, content, named="")
            replace_file(spot, data, read=facts)
        return {"ok": True, "version": _version(data), "size": len(data), **told}

    def upload(self, path: str, data: bytes, *, replace: bool) -> Answer:
        """Store a file; ``replace`` says whether one that is there may be replaced. That one is
        kept as a deleted one is, and ``undo`` names it.

        Raises:
            AlreadyExists: there is one, and it may not.
        """
        if not replace:
            return self._create(path, data)
        undo = ""
        with suppress(NoSuchFile):
            undo = self.delete(path, folders=False)["undo"]
        return {**self._create(path, data), "undo": undo}

    def _create(self, path: str, data: bytes) -> Answer:
        with self._changing, self._tree.at(path, follow=False, make_parents=True) as spot:
            if not spot.name:
                raise IsADirectory
            try:
                file = spot.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError as exc:
                raise AlreadyExists from exc
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(data)
            except BaseException:
                os.unlink(spot.name, dir_fd=spot.folder)
                raise
        return {"ok": True, "version": _version(data), "size": len(data)}

    def delete(self, path: str, *, folders: bool = True) -> Answer:
        """Move a file, a link or a folder away; ``undo`` names it for ``restore``.

        Raises:
            NoSuchFile: there is nothing.
            NotKept: it can't be moved to where it would be kept.
        """
        self._prune()
        undo = secrets.token_hex(16)
        place = self._trash / undo
        with self._changing, self._tree.at(path, follow=False) as spot:
            if not spot.name:
                raise BadPath("The working folder itself can't be deleted.")
            if stat.S_ISDIR(spot.facts().st_mode) and not folders:
                raise AlreadyExists
            try:
                place.mkdir(mode=0o700, parents=True)
                (place / "path").write_text(quote(path))
                _move_out(spot, place / "kept")
            except OSError as exc:
                shutil.rmtree(place, ignore_errors=True)
                if exc.errno in (errno.EACCES, errno.EPERM):
                    raise
                raise NotKept(f"{NotKept.text} ({exc.strerror})") from exc
        return {"ok": True, "undo": undo}

    def restore(self, undo: str) -> Answer:
        """Move what was deleted back; return its path.

        Raises:
            NothingDeleted: nothing is kept by that name.
            AlreadyExists: something else is in its place now; it stays kept.
        """
        place = self._trash / undo
        if len(undo) != 32 or not undo.isalnum() or not os.path.lexists(place / "kept"):
            raise NothingDeleted
        path = unquote((place / "path").read_text())
        with (
            self._changing,
            self._tree.at(path, follow=False, make_parents=True) as spot,
        ):
            if os.path.lexists(path_of(spot.folder) / spot.name):
                raise AlreadyExists
            _move_in(place / "kept", spot)
        shutil.rmtree(place, ignore_errors=True)
        return {"ok": True, "path": quote(path)}

    def _prune(self) -> None:
        """Remove for good what was deleted long ago."""
        try:
            kept = sorted(self._trash.iterdir(), key=lambda each: each.stat().st_mtime)
        except OSError:
            return
        old = time.time() - KEPT_FOR
        for number, each in enumerate(kept):
            with suppress(OSError):
                if each.stat().st_mtime < old or len(kept) - number >= KEPT_MOST:
                    shutil.rmtree(each)

    def find(self, words: str, *, hidden: bool, ignored: Collection[str]) -> Answer:
        """Return the files whose path has all of the words, whatever their case.

        ``ignored`` has the paths of files and folders to leave out. With ``hidden``, also names
        that begin with a dot.
        """
        wanted = words.lower().split()
        files = frozenset(path for path in ignored if not path.endswith("/"))
        folders = tuple(path for path in ignored if path.endswith("/"))
        found: list[str] = []
        with self._tree.open_folder("") as (folder, _):
            for number, path in enumerate(walk(folder)):
                if number == WALK_LIMIT or len(found) > FOUND_LIMIT:
                    break
                if not hidden and (path.startswith(".") or "/." in path):
                    continue
                lower = path.lower()
                if not all(word in lower for word in wanted):
                    continue
                if path not in files and not (folders and path.startswith(folders)):
                    found.append(path)
        shown = [quote(path) for path in found[:FOUND_LIMIT]]
        return {"files": shown, "truncated": len(found) > FOUND_LIMIT, "skipped": sorted(EXCLUDED)}


def _kind_of(facts: os.stat_result) -> str:
    if stat.S_ISDIR(facts.st_mode):
        return "folder"
    if stat.S_ISLNK(facts.st_mode):
        return "link"
    return "file" if stat.S_ISREG(facts.st_mode) else "other"


def _version(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _raw(spot: Spot) -> tuple[bytes, os.stat_result]:
    """Return a file's bytes, and its stat from before they were read."""
    file = spot.open()
    try:
        facts = os.fstat(file)
        check_file(facts)
        if facts.st_size > TEXT_LIMIT:
            raise FileTooLarge("The file is larger than 10 MiB.")
        return rest_of(file, TEXT_LIMIT), facts
    finally:
        os.close(file)


def _pieces(file: int, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes and close the file; one that became shorter ends early."""
    try:
        while size and (piece := os.read(file, min(PIECE, size))):
            size -= len(piece)
            yield piece
    finally:
        os.close(file)


def _move_out(spot: Spot, to: Path) -> None:
    try:
        os.rename(spot.name, to, src_dir_fd=spot.folder)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        shutil.move(path_of(spot.folder) / spot.name, to)  # of another disk


def _move_in(kept: Path, spot: Spot) -> None:
    try:
        os.rename(kept, spot.name, dst_dir_fd=spot.folder)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        shutil.move(kept, path_of(spot.folder) / spot.name)
