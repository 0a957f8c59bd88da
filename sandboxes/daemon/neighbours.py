"""Other chats that work in the same folder or on the same branch; they are told of each other.

All sandboxes of one link program belong to one person, so that nobody learns of anybody else's
chats. Blocking.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.git import own
from mesh.plain_files import read_plain, write_plain
from sandboxes.daemon.notices import Notice
from sandboxes.daemon.spec import Spec, parse_spec

logger = logging.getLogger(__name__)

SHARED_FOLDER: Final = "shared_folder"
SHARED_BRANCH: Final = "shared_branch"
NAME: Final = "chats.json"  # beside the working folder: which chats work there
MOST: Final = 200  # chats that are remembered; the oldest go first
MOST_SANDBOXES: Final = 1000  # that are looked at

_IN_ONE_SANDBOX: Final = (
    "Another chat of yours uses the same folder and branch. Each sees, and may overwrite, what the"
    " other changes."
)


@dataclass(frozen=True, slots=True)
class Use:
    """What a sandbox works on: a person's own ``folder``, or a ``branch`` of an ``address``."""

    folder: str = ""
    address: str = ""
    branch: str = ""


def use_of(root: Path, spec: Spec) -> Use:
    """Return what the sandbox in ``root`` works on that others might share."""
    made = own.load(root)
    folder = ""
    if made is not None and made.top != root / "repo":
        folder = str(made.top)
    elif spec.folder and own.is_none(root):
        folder = str(Path(spec.folder).resolve())
    return Use(folder, spec.clone_url, spec.branch if spec.clone_url else "")


def in_words(mine: Use, other: Use, handle: str) -> Notice | None:
    """Return what the person must know about another sandbox; ``None`` if nothing is shared."""
    if mine.folder and mine.folder == other.folder:
        text = (
            f"Another chat of yours ({handle}) uses {mine.folder}, too. Each sees, and may"
            " overwrite, what the other changes."
        )
        return Notice(SHARED_FOLDER, text)
    if mine.branch and (mine.address, mine.branch) == (other.address, other.branch):
        text = (
            f"Another chat of yours ({handle}) uses the branch “{mine.branch}”, too, in a copy of"
            " its own. What one publishes, the other lacks."
        )
        return Notice(SHARED_BRANCH, text)
    return None


def shared_with(root: Path, spec: Spec) -> Iterator[Notice]:
    """Yield what the person must know about each other sandbox of the same link program."""
    mine = use_of(root, spec)
    if not (mine.folder or mine.branch):
        return
    for file in sorted(root.parent.glob("*/spec.json"))[:MOST_SANDBOXES]:
        other, theirs = file.parent, _read(file)
        if theirs is None or other == root:
            continue
        if (notice := in_words(mine, use_of(other, theirs), other.name)) is not None:
            yield notice


def meet(root: Path, thread_id: str) -> Notice | None:
    """Record that a chat works in the sandbox's folder; return what it must know of the others.

    Each chat is told once of each other one.
    """
    chats = _load(root)
    told = set(chats.get(thread_id, ()))
    others = {each for each in chats if each != thread_id}
    if thread_id in chats and others <= told:
        return None
    kept = {**chats, thread_id: sorted(told | others)}
    while len(kept) > MOST:
        del kept[next(iter(kept))]
    try:
        draft = root / f".{NAME}.new"
        write_plain(draft, json.dumps(kept))
        draft.replace(root / NAME)
    except OSError as exc:
        logger.warning("writing %s failed, a chat may be told again of others: %s", NAME, exc)
    return Notice(SHARED_FOLDER, _IN_ONE_SANDBOX) if others - told else None


def _load(root: Path) -> dict[str, list[str]]:
    try:
        kept = json.loads(read_plain(root / NAME))
    except (OSError, ValueError, RecursionError):
        return {}
    found = kept.items() if isinstance(kept, dict) else ()
    return {chat: [str(each) for each in told] for chat, told in found if isinstance(told, list)}


def _read(file: Path) -> Spec | None:
    try:
        return parse_spec(json.loads(read_plain(file)))
    except (OSError, ValueError, RecursionError):
        return None
