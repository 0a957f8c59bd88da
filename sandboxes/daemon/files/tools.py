"""Reads and changes files of the working folder. Blocking: for a worker thread."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import threading
from collections.abc import Callable
from typing import Any

from agents.harness.base import BadInput
from sandboxes.daemon.files import rewriting
from sandboxes.daemon.files.encodings import (
    PROBE_BYTES,
    NotText,
    Text,
    lines_of,
    read_text,
)
from sandboxes.daemon.files.errors import (
    AlreadyExists,
    BadPath,
    BinaryFile,
    ChangedMeanwhile,
    FileTooLarge,
    IsADirectory,
    NoSuchFile,
    NotAFile,
    NotInThatEncoding,
)
from sandboxes.daemon.files.tree import Spot, Tree, check_file

MIB = 1024 * 1024
TEXT_LIMIT = 10 * MIB  # of a file to read as text or to edit
IMAGE_LIMIT = 5 * MIB
LINES = 2000  # read by default
CONTENT_LIMIT = 256 * 1024  # characters of one response; an agent can't use more
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

    def read(self, path: str, *, offset: int = 1, limit: int = LINES, named: str = "") -> Answer:
        """Return ``limit`` numbered lines from line ``offset``, or an image in base64.

        ``encoding`` and ``lineEnds`` say what is not as usual. ``named`` is the codec to read with.

        Raises:
            NoSuchFile, IsADirectory, NotAFile, PathOutside, BinaryFile, FileTooLarge.
            NotInThatEncoding: the text is none in the encoding ``named``.
        """
        with self.tree.open_file(path) as (file, _):
            size = os.fstat(file).st_size
            head = os.read(file, PROBE_BYTES)
            if kind := image_kind(head):
                if size > IMAGE_LIMIT:
                    raise FileTooLarge("The image is larger than 5 MiB.")
                return image_of(kind, head + rest_of(file, IMAGE_LIMIT))
            text = _text_in(file, head, size, named)
        return _numbered(text.shown, offset, limit) | facts_of(text)

    def write(self, path: str, content: str, *, named: str = "") -> Answer:
        """Write ``content`` into the file; it and its folders are created if missing.

        A file that exists keeps its encoding, and its line ends unless ``content`` has carriage
        returns of its own; ``changed`` says what it doesn't keep.

        Raises:
            NotInEncoding: ``content`` has characters that the file's encoding doesn't.
        """
        check_characters("content", content)
        with self._changing, self.tree.at(path, make_parents=True) as spot:
            data, facts = rewriting.rewritten(_old_text(spot), content, named=named)
            replace_file(spot, data)
        return {"ok": True, "bytesWritten": len(data), **facts}

    def edit(
        self, path: str, old: str, new: str, *, everywhere: bool = False, named: str = ""
    ) -> Answer:
        """Replace the one occurrence of ``old`` with ``new``; with ``everywhere``, all of them.

        Line feeds in both stand for the file's line ends. All other bytes stay as they are.

        Raises:
            BadInput: ``old`` is empty, or the same as ``new``.
            NothingToReplace, Ambiguous: it occurs nowhere, or more than once.
            NotInEncoding, EncodingUnknown: ``new`` can't be written into this file.
            ChangedMeanwhile: another program wrote the file at the same time.
            BinaryFile, FileTooLarge, …: as for ``read``.
        """
        if not old:
            raise BadInput("old_string must not be empty.", detail="old_string")
        if old == new:
            raise BadInput("old_string and new_string are the same.", detail="new_string")
        check_characters("old_string", old)
        check_characters("new_string", new)
        with self._changing, self.tree.at(path) as spot:
            text, before = _text_of(spot, named)
            text, count = rewriting.edited(text, old, new, everywhere=everywhere)
            replace_file(spot, text.raw, read=before)
        return {"ok": True, "replacements": count, "content": text.shown, **facts_of(text)}

    def rewrite(self, path: str, change: Callable[[bytes], bytes], *, most: int) -> None:
        """Replace the file's bytes by what ``change`` makes of them; of none if it is missing.

        Raises:
            ChangedMeanwhile: another program wrote the file at the same time.
            FileTooLarge: it has more than ``most`` bytes.
        """
        with self._changing, self.tree.at(path) as spot:
            data, before = b"", None
            if spot.name and _exists(spot):
                with os.fdopen(spot.open(), "rb") as stream:
                    before = os.fstat(stream.fileno())
                    check_file(before)
                    data = stream.read(most + 1)
            if len(data) > most:
                raise FileTooLarge
            replace_file(spot, change(data), read=before)

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


def replace_file(spot: Spot, data: bytes, *, read: os.stat_result | None = None) -> None:
    """Replace the file's content atomically: readers see the old or the new one.

    Raises:
        ChangedMeanwhile: it is no longer as it was ``read``.
    """
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
        if read is not None and _state(spot.facts()) != _state(read):
            raise ChangedMeanwhile
        os.rename(draft.name, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder)
    except BaseException:
        os.unlink(draft.name, dir_fd=draft.folder)
        raise


def _state(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _text_of(spot: Spot, named: str = "") -> tuple[Text, os.stat_result]:
    """Return the file's text, and its stat from before it was read."""
    file = spot.open()
    try:
        facts = os.fstat(file)
        check_file(facts)
        return _text_in(file, os.read(file, PROBE_BYTES), facts.st_size, named), facts
    finally:
        os.close(file)


def _text_in(file: int, head: bytes, size: int, named: str) -> Text:
    if size > TEXT_LIMIT:
        if b"\x00" in head:
            raise BinaryFile
        raise FileTooLarge("The file is larger than 10 MiB.")
    try:
        return read_text(head + rest_of(file, TEXT_LIMIT), named=named)
    except NotText as exc:
        raise (NotInThatEncoding if named else BinaryFile) from exc


def _old_text(spot: Spot) -> Text | None:
    """Return the text of the file that is written anew, if it is one."""
    try:
        return _text_of(spot)[0]
    except (OSError, BinaryFile, FileTooLarge, IsADirectory, NotAFile):
        return None  # ``replace_file`` refuses what is no file


def rest_of(file: int, limit: int) -> bytes:
    """Return the rest of the file; it may have grown since it was measured."""
    parts, size = [], 0
    while part := os.read(file, MIB):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise FileTooLarge
    return b"".join(parts)


def check_characters(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise BadInput(f"{name} contains half a surrogate pair.", detail=name) from exc


def facts_of(text: Text) -> Answer:
    """Return what is not as usual in a text, for the caller to name."""
    facts: Answer = {}
    if not text.encoding.is_usual:
        facts["encoding"] = text.encoding.title
    if text.encoding.is_guess:
        facts["encodingIsGuess"] = True
    if text.encoding.rivals:
        facts["encodingMaybe"] = text.encoding.maybe
    if text.line_ends not in ("", "LF"):
        facts["lineEnds"] = text.line_ends
    return facts


def image_kind(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGES if head.startswith(magic)), "")


def image_of(kind: str, data: bytes) -> Answer:
    encoded = base64.b64encode(data).decode()
    return {"kind": "image", "mediaType": kind, "data": encoded, "size": len(data)}


def _numbered(text: str, offset: int, limit: int) -> Answer:
    lines = lines_of(text)
    found: list[str] = []
    room = CONTENT_LIMIT
    selected = lines[offset - 1 : offset - 1 + limit]
    for number, line in enumerate(selected, start=offset):
        numbered = f"{number}\t{line}"
        room -= len(numbered) + 1
        if room < 0:
            if not found:
                found.append(numbered[:CONTENT_LIMIT])
            break
        found.append(numbered)
    return {
        "kind": "text",
        "content": "\n".join(found),
        "lineCount": len(lines),
        "truncated": room < 0 or offset - 1 + limit < len(lines),
    }
