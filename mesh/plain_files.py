"""Our own files in folders that agents can also write to.

An agent with its person's rights can replace any of them with a pipe, a device or an endless file:
code that opens it and waits would hang, and with it the link and all sandboxes of the machine.
Writing has the same danger, and through a symbolic link it would write wherever the link points.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MOST: Final = 64 * 1024 * 1024  # bytes


def read_plain(path: Path) -> str:
    """Return the text of a regular file; invalid UTF-8 in it is replaced.

    Raises:
        OSError: it is missing, not a regular file, or larger than ``MOST``.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size > MOST:
            raise OSError(f"{path} is not a regular file, or too large.")
        return file.read(MOST).decode(errors="replace")


def open_plain(path: Path, flags: int, mode: int = 0o600) -> int:
    """Return a descriptor of the regular file at ``path``, opened with ``flags``; never block.

    Raises:
        OSError: it can't be opened, or is not a regular file.
    """
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is not a regular file, or too large.")
    return handle


def new_plain(path: Path, mode: int = 0o600) -> int:
    """Return a descriptor, for writing, of a new file at ``path``; an existing file is removed.

    Raises:
        OSError: it can't be made, or there is a folder.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def write_plain(path: Path, text: str, mode: int = 0o600) -> None:
    """Make a new file with ``text`` at ``path``; an existing file is removed.

    Surrogates become the bytes that they stand for in names (``os.fsdecode``).

    Raises:
        OSError: see ``new_plain``.
    """
    with os.fdopen(new_plain(path, mode), "wb") as file:
        file.write(text.encode(errors="surrogateescape"))
