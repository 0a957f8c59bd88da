"""Files of ours in folders in which agents may write, too.

An agent with its person's rights can put a pipe, a device or an endless file in the place of any
of them: who opens that and waits hangs, and with the link all sandboxes of the machine. That is so
for who writes as well; and through a link, what is written goes wherever the link points.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MOST: Final = 64 * 1024 * 1024  # bytes


def read_plain(path: Path) -> str:
    """Return the text of a plain file; what is no UTF-8 in it is replaced.

    Raises:
        OSError: there is none, it is something else, or it is larger than ``MOST``.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size > MOST:
            raise OSError(f"{path} is no plain file, or too large.")
        return file.read(MOST).decode(errors="replace")


def open_plain(path: Path, flags: int, mode: int = 0o600) -> int:
    """Return a descriptor of the plain file at ``path``, opened with ``flags``; never wait.

    Raises:
        OSError: it can't be opened, or is something else.
    """
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no plain file, or too large.")
    return handle


def new_plain(path: Path, mode: int = 0o600) -> int:
    """Return a descriptor, for writing, of a new file at ``path``; what was there is taken away.

    Raises:
        OSError: it can't be made, or a folder is there.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def write_plain(path: Path, text: str, mode: int = 0o600) -> None:
    """Make a new file with ``text`` at ``path``; what was there is taken away.

    Raises:
        OSError: see ``new_plain``.
    """
    with os.fdopen(new_plain(path, mode), "w", encoding="utf-8") as file:
        file.write(text)
