"""Says that a hook was not run when a working folder was made. Blocking.

Mesh runs no hook during a checkout: a hook may be an agent's, and it would run outside of the
agent's sandbox before any person asked for anything (ADR 27 for those that do run). So none can
fail, hang, or change the folder; but a project may rely on one, and then the person must know.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mesh.git.calls import Outside
from mesh.git.own import Own
from mesh.plain_files import open_plain
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices

HOOK: Final = "post-checkout"
NOT_RUN: Final = "hook_not_run"  # the code of the notice
_LIMIT: Final = 64 * 1024  # bytes that are looked at
# It only makes lockable files read-only: nothing that a project relies on.
_OF_LFS: Final = b"git lfs post-checkout"


def tell_of_hooks(made: Own, git: Git, notices: Notices) -> None:
    """Add a notice, once, if git would have run a hook when the work tree ``made`` was made."""
    for folder in _folders(made, git):
        hook = folder / HOOK
        if _is_hook(hook):
            where = hook.relative_to(made.top) if hook.is_relative_to(made.top) else hook
            notices.add(
                NOT_RUN,
                f"The hook {where} was not run: Mesh runs no hooks when it makes a chat's folder."
                " If the project needs it, ask the agent to run it.",
            )


def _folders(made: Own, git: Git) -> Iterator[Path]:
    """Yield where git finds hooks: the repository's folder, or the one that is set instead."""
    outside = Outside(made.top.parent)
    asked = ("--file", str(made.common / "config"), "--no-includes")
    for scope in (asked, ("--global",)):
        named = git.ask(outside, "config", *scope, "--type=path", "core.hooksPath")
        if named:
            folder = made.top / named
            yield folder
            if folder.name == "_":
                yield folder.parent  # husky's: that folder is made by its installation
            return
    yield made.common / "hooks"


def _is_hook(file: Path) -> bool:
    try:
        with os.fdopen(open_plain(file, os.O_RDONLY), "rb") as hook:
            is_program = bool(os.fstat(hook.fileno()).st_mode & 0o111)
            return (is_program or file.parent.name == ".husky") and _OF_LFS not in hook.read(_LIMIT)
    except OSError:
        return False
