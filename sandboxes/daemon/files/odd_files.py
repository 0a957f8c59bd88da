"""Recognizes texts that ripgrep does not read: neither UTF-8, nor UTF-16 with a mark."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from sandboxes.daemon.files.encodings import PROBE_BYTES, NotText, read_text


def is_odd_name(folder: Path, name: str) -> bool:
    """Return whether the file ``name`` below ``folder`` begins as such a text."""
    try:
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # gone, or not readable
    try:
        return is_odd(file)
    finally:
        os.close(file)


def is_odd(file: int) -> bool:
    """Return whether an open file begins as such a text."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        return False
    head = os.pread(file, PROBE_BYTES, 0)
    if b"\0" not in head:
        return not _is_utf8(head)
    try:
        return not read_text(head[: len(head) // 2 * 2]).encoding.mark
    except NotText:
        return False


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
