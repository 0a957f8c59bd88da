"""What a kind of repository is, and what may differ from a plain one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.sandboxes.repositories.gits import AGit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``make(folder)`` makes the repository in the empty ``folder``, and returns the folder that
    the person chooses for their chat."""

    make: Callable[[Path], Path]
    says: str  # what it is, for docs/git.md
    branch: str = "work"  # that the chat is to have
    named: str = ""  # the branch that it gets, if that is another one
    remote: str = ""  # that the branch is published to; empty where there is none
    server: str = "server.git"  # the remote's repository, in the folder
    starts_from_server: bool = False  # from the branch that the server has
    rebase_refused: str = ""  # the code of the error
    publish_refused: str = ""  # the code of the error
    is_whole: bool = True  # whether the worktree is as plain git makes it
    is_converted: bool = False  # whether git stores other bytes than the files have
    brings: tuple[str, ...] = ()  # what it has beside, as the person's checkout has it
    is_asked: bool = False  # whether the start ends with a question to the person
    refused: str = ""  # the code of the error that the start ends with
    since: tuple[int, int] = (2, 34)  # of git
    until: tuple[int, int] = (99, 0)  # the first git with which it is not so any more
    gitconfig: str = ""  # the person's own settings, for all their repositories
    runs: frozenset[str] = frozenset()  # the person's programs that Mesh may start
    plainly: tuple[str, ...] = ()  # options of git for the tests' own commands in the worktree
    without: str = ""  # a program that must not be installed
    as_root: bool = False  # whether only root can make it

    def is_for(self, git: AGit) -> bool:
        """Return whether it can be made with ``git``, by this user on this machine."""
        is_missing = not self.without or shutil.which(self.without) is None
        return self.since <= git.version < self.until and is_missing and self._may_make

    @property
    def _may_make(self) -> bool:
        return not self.as_root or os.geteuid() == 0
