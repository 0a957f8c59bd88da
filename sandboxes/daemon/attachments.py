"""Files that people attached to messages, kept in the sandbox under the digest of their bytes.

The server sends each file once, in pieces, before the first run that needs it. A message then
names the file, and this module inserts its bytes. The disk proves nothing, because agents run as
the same user: bytes that do not match their digest count as missing, and are sent again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mesh.lib.errors import AppError
from mesh.plain_files import new_plain, open_plain

SIZE_LIMIT: Final = 16 * 1024 * 1024  # bytes of one file; the server's own limit is far lower
KEPT: Final = 64 * 1024 * 1024  # bytes of all files; the least recently used go first
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)

Json = dict[str, Any]


class BadAttachment(AppError):
    code = "bad_attachment"
    text = "The attachment's digest, size or offset is not valid."
    hint = "The server and the laptop may run different versions: update both."


class AttachmentDamaged(AppError):
    code = "attachment_damaged"
    text = "The attachment's bytes do not match its digest."
    hint = "It is sent again automatically."
    status = 422


class AttachmentNotKept(AppError):
    code = "attachment_not_kept"
    text = "The attachment could not be written to the machine's disk."
    hint = "Free space on the disk, then send the message again."
    status = 507


class AttachmentsMissing(AppError):
    code = "attachments_missing"
    text = "The sandbox does not have all files of the message."
    hint = "They are sent again automatically."
    status = 409


class Attachments:
    """The files in ``folder``, which is created with the first one."""

    def __init__(self, folder: Path, *, kept: int = KEPT) -> None:
        self._folder, self._kept = folder, kept

    def held(self, digest: str) -> int:
        """Return how many bytes of the file are stored, from its beginning.

        Raises:
            BadAttachment: ``digest`` is not a digest.
        """
        path = self._path(digest)
        return _size(path) or _size(_part(path))

    def add(self, digest: str, *, size: int, offset: int, piece: bytes) -> int:
        """Store the bytes from ``offset`` on; return how many of the ``size`` are stored now.

        Safe to repeat. A piece that does not follow the stored bytes changes nothing: the
        returned number says where to continue.

        Raises:
            BadAttachment: the file would be too large, or the numbers are impossible.
            AttachmentDamaged: the complete file does not match its digest; it is dropped.
            AttachmentNotKept: the disk can't store it, for example because it is full.
        """
        path = self._path(digest)
        if not 0 < size <= SIZE_LIMIT or offset < 0 or offset + len(piece) > size:
            raise BadAttachment
        if _size(path) == size:
            return size
        part = _part(path)
        if offset and offset != _size(part):
            return _size(part)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _append(part, piece, is_first=not offset)
            if offset + len(piece) == size:
                self._complete(part, path, digest)
        except OSError as exc:
            raise AttachmentNotKept(f"The attachment could not be stored: {exc.strerror}.") from exc
        return offset + len(piece)

    def fill(self, messages: Any) -> None:
        """Insert the bytes of the files that ``messages`` name by digest.

        Raises:
            AttachmentsMissing: some are not stored; ``missing`` lists their digests.
            BadAttachment: a digest is malformed.
        """
        missing = []
        for part in _named(messages):
            data = self._read(str(part["digest"]))
            if data is None:
                missing.append(part["digest"])
            else:
                body = base64.b64encode(data).decode()
                part["url"] = f"data:{part.get('mediaType', '')};base64,{body}"
        if missing:
            raise AttachmentsMissing(missing=missing)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise BadAttachment
        return self._folder / digest

    def _read(self, digest: str) -> bytes | None:
        path = self._path(digest)
        data = _bytes_of(path)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # in use: less recently used files are removed first
        return data

    def _complete(self, part: Path, path: Path, digest: str) -> None:
        data = _bytes_of(part)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            part.unlink(missing_ok=True)
            raise AttachmentDamaged
        part.replace(path)
        self._prune(spare=path)

    def _prune(self, *, spare: Path) -> None:
        """Remove the least recently used files until the rest is small enough."""
        facts = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                facts.append((path.lstat().st_mtime, path.lstat().st_size, path))
        room = self._kept - sum(size for _, size, _ in facts)
        for _, size, path in sorted(facts):
            if room >= 0:
                return
            if path != spare:
                with suppress(OSError):
                    path.unlink()
                    room += size


def _part(path: Path) -> Path:
    return path.with_suffix(".part")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _append(path: Path, piece: bytes, *, is_first: bool) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
    handle = new_plain(path) if is_first else open_plain(path, flags)
    with os.fdopen(handle, "wb") as file:
        file.write(piece)


def _bytes_of(path: Path) -> bytes | None:
    """Return a plain file's bytes; ``None`` for anything else, and for one that is too large."""
    try:
        with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError:
        return None
    return data if len(data) <= SIZE_LIMIT else None


def _named(messages: Any) -> list[Json]:
    """Return the parts that name a file by its digest; malformed messages have none."""
    found: list[Json] = []
    for message in messages if isinstance(messages, list) else ():
        parts = message.get("parts") if isinstance(message, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") == "file" and "digest" in part:
                found.append(part)
    return found
