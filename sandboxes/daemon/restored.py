"""Tells the person that the link brought the folder of their removed sandbox back."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from links.wire.names import RESTORED
from mesh.plain_files import read_plain
from sandboxes.daemon.notices import Notices

_BACK: Final = "This sandbox had been removed. Its folder was brought back as it was."
_ON_NO_BRANCH: Final = (
    " Its branch “{branch}” has changed since, or is in use elsewhere: the work continues from its"
    " own last commit, on no branch."
)


def note(root: Path, notices: Notices) -> None:
    """Keep a notice for the next run if the link left its mark in ``root``. Safe to repeat."""
    try:
        branch = read_plain(root / RESTORED)
    except OSError:
        return
    notices.renew(RESTORED, _BACK + (_ON_NO_BRANCH.format(branch=branch) if branch else ""))
    (root / RESTORED).unlink(missing_ok=True)
