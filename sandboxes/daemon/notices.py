"""What a person must be told about a sandbox's working folder; the next run's answer says it.

Kept in the sandbox's own folder, so that a notice is neither lost nor repeated when the process
ends between the checkout and the run.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agents.harness.failures import redact
from agents.harness.lines import printable
from mesh.plain_files import read_plain, write_plain

logger = logging.getLogger(__name__)

NAME: Final = "notices.json"
REMADE: Final = "folder_remade"  # of a working folder that was gone
MOST: Final = 100  # notices kept; the oldest go first


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the person. ``code`` says of which kind it is, for programs."""

    code: str
    text: str


class Notices:
    """The notices of the sandbox in ``root``. Any thread may call it."""

    def __init__(self, root: Path) -> None:
        self._file = root / NAME
        self._lock = threading.Lock()
        self._kept: dict[Notice, bool] = _load(self._file)  # whether it was told, oldest first

    def add(self, code: str, text: str) -> None:
        """Keep a notice for the next run, unless the same one was already told."""
        notice = Notice(code, text)
        with self._lock:
            if notice in self._kept:
                return
            self._kept[notice] = False
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
            self._save()

    def renew(self, code: str, text: str) -> None:
        """Keep a notice of something that happened again, even if the same one was told before."""
        self.forget(code)
        self.add(code, text)

    def forget(self, code: str) -> None:
        """Drop the notices of a kind: what they say is no longer so, and may be said again."""
        with self._lock:
            left = {notice: told for notice, told in self._kept.items() if notice.code != code}
            if left != self._kept:
                self._kept = left
                self._save()

    @property
    def pending(self) -> tuple[Notice, ...]:
        """The notices that no run has told, oldest first."""
        with self._lock:
            return tuple(notice for notice, told in self._kept.items() if not told)

    def note_told(self, notices: tuple[Notice, ...]) -> None:
        """Record that a run's answer contains these notices."""
        with self._lock:
            told = {notice: True for notice in notices if notice in self._kept}
            if told:
                self._kept |= told
                self._save()

    def _save(self) -> None:
        value = [asdict(notice) | {"told": told} for notice, told in self._kept.items()]
        draft = self._file.with_name(f".{NAME}.new")
        try:
            write_plain(draft, json.dumps(value))
            draft.replace(self._file)
        except OSError as exc:
            # Still told by this process; after a restart it may be told again, or not.
            logger.warning("writing %s failed, continuing without: %s", NAME, exc)


def _load(file: Path) -> dict[Notice, bool]:
    """Return what is kept; nothing where the file can't be read: an agent may have replaced it."""
    try:
        listed = json.loads(read_plain(file))
    except (OSError, ValueError, RecursionError):
        return {}
    found = listed if isinstance(listed, list) else []
    return {notice: entry.get("told") is True for entry in found if (notice := _read(entry))}


def _read(entry: Any) -> Notice | None:
    if not isinstance(entry, dict):
        return None
    code, text = entry.get("code"), entry.get("text")
    return Notice(code, text) if isinstance(code, str) and isinstance(text, str) else None


_NAMED = 3  # commands that a notice names
_LENGTH = 80  # characters of a command line that it shows


def ended_text(commands: Sequence[str]) -> str:
    """Return the sentence about commands that were ended with a turn, by their command lines."""
    named = [f"`{_short(command)}`" for command in dict.fromkeys(filter(None, commands))][:_NAMED]
    more = len(commands) - len(named)
    if not named:
        return f"Stopped with it: {more} command{'s' if more > 1 else ''}."
    if more:
        return f"Stopped with it: {', '.join(named)} and {more} more."
    return f"Stopped with it: {', '.join(named)}."


def _short(command: str) -> str:
    text = " ".join(printable(redact(command)).replace("`", "'").split())
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"
