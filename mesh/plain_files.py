"""Files of ours, read from folders in which agents may write, too.

An agent with its person's rights can put a pipe, a device or an endless file in the place of any
of them: who opens that and waits hangs, and with the link all sandboxes of the machine.
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
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST:
            raise OSError(f"{path} is no plain file, or too large.")
        return file.read(MOST).decode(errors="replace")
