"""The common git directory that the programs in a worktree of a person's repository see.

Work trees share configuration and hooks. So the installer of a project (husky: ``git config
core.hooksPath``), an agent's ``git remote add`` and the like would change the person's own
checkout. A worktree of ours therefore has a common directory of its own, inside its git directory:
configuration and hooks are copies, everything else leads to the person's repository (ADR 28).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mesh.git.own import Own

FOLDER: Final = "mesh"  # in the worktree's git directory, which names it in its file commondir
# What work trees share besides configuration and hooks. Those of the first list are linked even
# before there are any: git makes these files itself, and follows the link.
ALWAYS: Final = ("HEAD", "objects", "refs", "worktrees", "packed-refs", "shallow")
IF_THERE: Final = (
    *("logs", "reftable", "rr-cache", "lfs", "annex", "svn", "remotes", "branches"),
    # Of the person's own checkout: what it is in the middle of, and which objects it still needs.
    *("index", "rebase-merge", "rebase-apply", "BISECT_LOG", "BISECT_START"),
)
_UP: Final = "../../.."  # from our folder to the person's git directory


def place_of(made: Own) -> Path:
    """Return the common directory that programs in the worktree ``made`` see."""
    return made.git_dir / FOLDER


def config_of(made: Own) -> Path:
    """Return the configuration that people and programs who use git in ``made`` read and write."""
    own = place_of(made) / "config"
    return own if own.is_file() else made.common / "config"


def links_of(common: Path) -> dict[str, str]:
    """Return name → target of the links in a worktree's common directory."""
    present = [name for name in IF_THERE if os.path.lexists(common / name)]
    # Parts of an index in several files. While one is missing here, git clears nothing up, which is
    # better than what the person staged.
    parts = [part.name for part in common.glob("sharedindex.*")]
    return {name: f"{_UP}/{name}" for name in (*ALWAYS, *present, *parts)}
