"""Reads and changes files of the working folder. Blocking: for a worker thread."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import threading
from typing import Any

from agents.harness.base import BadInput
from sandboxes.daemon.files.errors import (
    AlreadyExists,
    Ambiguous,
    BadPath,
    BinaryFile,
    FileTooLarge,
    IsADirectory,
    NoSuchFile,
    NothingToReplace,
)
from sandboxes.daemon.files.tree import Spot, Tree, check_file

MIB = 1024 * 1024
TEXT_LIMIT = 10 * MIB  # of a file to read as text or to edit
IMAGE_LIMIT = 5 * MIB
LINES = 2000  # read by default
CONTENT_LIMIT = 256 * 1024  # characters of one response; an agent can't use more
PROBE_BYTES = 8 * 1024  # searched for the NUL of a binary file
OURS = ".mesh-"  # prefix of temporary files that replace others

Answer = dict[str, Any]

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class FileTools:
    """The tools over one tree; each change holds ``changing``, so that edits don't interleave."""

    def __init__(self, tree: Tree, changing: threading.Lock) -> None:
        self.tree = tree
        self._changing = changing

    def read(self, path: str, *, offset: int = 1, limit: int = LINES) -> Answer:
        """Return ``limit`` numbered lines from line ``offset``, or an image in base64.

        Raises:
            NoSuchFile, IsADirectory, NotAFile, PathOutside, BinaryFile, FileTooLarge.
        """
        with self.tree.open_file(path) as (file, _):
            size = os.fstat(file).st_size
            head = os.read(file, PROBE_BYTES)
            if kind := _image_kind(head):
                if size > IMAGE_LIMIT:
                    raise FileTooLarge("The image is larger than 5 MiB.")
                return _image(kind, head + _rest(file, IMAGE_LIMIT))
            _check_text(head, size)
            raw = head + _rest(file, TEXT_LIMIT)
        return _numbered(raw.decode(errors="replace"), offset, limit)

    def write(self, path: str, content: str) -> Answer:
        """Write ``content`` into the file; it and its folders are created if missing."""
        data = _encoded("content", content)
        with self._changing, self.tree.at(path, make_parents=True) as spot:
            _replace(spot, data)
        return {"ok": True, "bytesWritten": len(data)}

    def edit(self, path: str, old: str, new: str, *, everywhere: bool = False) -> Answer:
        """Replace the one occurrence of ``old`` with ``new``; with ``everywhere``, all of them.

        Bytes that are not UTF-8 stay as they are.

        Raises:
            BadInput: ``old`` is empty, or the same as ``new``.
            NothingToReplace, Ambiguous: it occurs nowhere, or more than once.
            BinaryFile, FileTooLarge, …: as for ``read``.
        """
        if not old:
            raise BadInput("old_string must not be empty.", detail="old_string")
        if old == new:
            raise BadInput("old_string and new_string are the same.", detail="new_string")
        before, after = _encoded("old_string", old), _encoded("new_string", new)
        with self._changing, self.tree.at(path) as spot:
            raw = _text_of(spot)
            count = raw.count(before)
            if not count:
                raise NothingToReplace
            if count > 1 and not everywhere:
                raise Ambiguous(f"old_string occurs {count} times.", count=count)
            raw = raw.replace(before, after)
            _replace(spot, raw)
        return {"ok": True, "replacements": count, "content": raw.decode(errors="replace")}

    def unlink(self, path: str) -> Answer:
        """Remove a file, or a link itself; ``existed`` says if it existed. Safe to repeat."""
        try:
            with self._changing, self.tree.at(path, follow=False) as spot:
                if not spot.name or stat.S_ISDIR(spot.facts().st_mode):
                    raise IsADirectory
                os.unlink(spot.name, dir_fd=spot.folder)
        except NoSuchFile:
            return {"ok": True, "existed": False}
        return {"ok": True, "existed": True}

    def mkdir(self, path: str) -> Answer:
        """Make a folder and its parents; ``existed`` says if it existed. Safe to repeat.

        Raises:
            AlreadyExists: something else is at that path.
        """
        with self._changing, self.tree.at(path, make_parents=True) as spot:
            try:
                if spot.name:
                    os.mkdir(spot.name, dir_fd=spot.folder)
                    return {"ok": True, "existed": False}
            except FileExistsError:
                if not stat.S_ISDIR(spot.facts().st_mode):
                    raise
        return {"ok": True, "existed": True}

    def rename(self, source: str, target: str) -> Answer:
        """Move a file or folder to another path, whose folders are created.

        Raises:
            NoSuchFile: nothing is at ``source``.
            AlreadyExists: something is at ``target``.
        """
        with self._changing, self.tree.at(source, follow=False) as old:
            old.facts()  # fails before folders are created for nothing
            with self.tree.at(target, follow=False, make_parents=True) as new:
                if not old.name or not new.name:
                    raise BadPath("The working folder itself can't be moved.")
                if _exists(new):
                    raise AlreadyExists
                os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)
        return {"ok": True}


def _exists(spot: Spot) -> bool:
    try:
        spot.facts()
    except FileNotFoundError:
        return False
    return True


def _replace(spot: Spot, data: bytes) -> None:
    """Replace the file's content atomically: readers see the old or the new one."""
    if not spot.name:
        raise IsADirectory
    mode = None
    if _exists(spot):
        facts = spot.facts()
        check_file(facts)
        mode = stat.S_IMODE(facts.st_mode)
    draft = Spot(spot.folder, f"{OURS}{secrets.token_hex(8)}", "")
    file = draft.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
        os.rename(draft.name, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder)
    except BaseException:
        os.unlink(draft.name, dir_fd=draft.folder)
        raise


def _text_of(spot: Spot) -> bytes:
    file = spot.open()
    try:
        facts = os.fstat(file)
        check_file(facts)
        head = os.read(file, PROBE_BYTES)
        _check_text(head, facts.st_size)
        return head + _rest(file, TEXT_LIMIT)
    finally:
        os.close(file)


def _check_text(head: bytes, size: int) -> None:
    if b"\x00" in head:
        raise BinaryFile
    if size > TEXT_LIMIT:
        raise FileTooLarge("The file is larger than 10 MiB.")


def _rest(file: int, limit: int) -> bytes:
    """Return the rest of the file; it may have grown since it was measured."""
    parts, size = [], 0
    while part := os.read(file, MIB):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise FileTooLarge
    return b"".join(parts)


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise BadInput(f"{name} contains half a surrogate pair.", detail=name) from exc


def _image_kind(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGES if head.startswith(magic)), "")


def _image(kind: str, data: bytes) -> Answer:
    encoded = base64.b64encode(data).decode()
    return {"kind": "image", "mediaType": kind, "data": encoded, "size": len(data)}


def _numbered(text: str, offset: int, limit: int) -> Answer:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()  # the last line feed does not start another line
    shown: list[str] = []
    room = CONTENT_LIMIT
    selected = lines[offset - 1 : offset - 1 + limit]
    for number, line in enumerate(selected, start=offset):
        numbered = f"{number}\t{line.removesuffix(chr(13))}"
        room -= len(numbered) + 1
        if room < 0:
            if not shown:
                shown.append(numbered[:CONTENT_LIMIT])
            break
        shown.append(numbered)
    return {
        "kind": "text",
        "content": "\n".join(shown),
        "lineCount": len(lines),
        "truncated": room < 0 or offset - 1 + limit < len(lines),
    }
