"""What an agent does in a worktree: it changes every sort of file that is there, and adds more."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sandboxes.repositories.making import git, write

NEW: dict[str | bytes, bytes] = {
    "added.txt": b"added\n",
    " odd/new \n name": b"odd\r\n\n\n",
    b"latin-\xe9.txt": b"caf\xe9\n",
    "added.bin": bytes(range(256)),
}
ADDED_TEXT = b"changed by the agent  \r\n\n\n"


def work(repo: Path) -> None:
    """Change, delete and add files below ``repo``."""
    names = git(repo, "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached").split("\0")
    files = [repo / name for name in names if name]
    for path in files:
        if path.is_symlink():
            path.unlink()
            path.symlink_to("changed")
        elif path.is_file() and not path.name.startswith(".git"):
            _append(path)
    deletable = [path for path in files if path.is_file() and path.name[:1] not in ".p"]
    if len(deletable) > 1:
        deletable[0].unlink()
        deletable[1].chmod(deletable[1].stat().st_mode ^ 0o111)
    write(repo, NEW)
    os.symlink("added.txt", repo / "added-link")
    git(repo, "config", "agent.was", "here")  # as installations do; see ADR 28


def _append(path: Path) -> None:
    with path.open("rb+") as file:
        is_utf16 = file.read(2) == b"\xff\xfe"
        file.seek(0, os.SEEK_END)
        file.write(ADDED_TEXT.decode().encode("utf-16-le") if is_utf16 else ADDED_TEXT)
