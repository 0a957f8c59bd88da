"""Opens folders and files below a folder without following any link. Blocking."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def folder_of(top: Path, path: str, *, like: Path | None = None) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of the folder that contains ``path``, and the last part's name.

    With ``like``, missing folders are made, with the modes that they have below ``like``.

    Raises:
        OSError: a folder on the way is missing, or is a link.
    """
    *folders, name = PurePosixPath(path).parts
    handle = os.open(top, _FOLDER)
    try:
        behind = Path()
        for part in folders:
            behind /= part
            is_new = like is not None and _make(part, handle)
            inner = os.open(part, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
            if like is not None and is_new:
                os.fchmod(handle, ((like / behind).lstat().st_mode & 0o777) | 0o700)
        yield handle, name
    finally:
        os.close(handle)


@contextmanager
def opened(top: Path, path: str) -> Iterator[int]:
    """Yield a descriptor for reading the regular file at ``path``.

    Raises:
        OSError: it is missing, is no file, or a link is on the way.
    """
    with folder_of(top, path) as (folder, name):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "not a file")
            yield file
        finally:
            os.close(file)


def reason_of(exc: OSError) -> str:
    """Return in words why something could not be opened or made."""
    if exc.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        return "a link, or behind one"
    return (exc.strerror or "it can't be read").lower()


def _make(name: str, folder: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return False
    return True
